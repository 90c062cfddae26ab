"""What a selection must hold whatever is drawn: records of certainty, and a least number in each area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import did_you_mean, validation
from l0np.sampling import inclusion_probabilities

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Requirements:
    """What a selection of records must hold.

    Attributes
    ----------
    certain : bool array of shape (N,)
        Records that are always selected.
    group : int array of shape (N,), or None
        The number of each record's group, an index of `labels`.
    labels : array of shape (G,)
        The labels of the groups.
    least : int array of shape (G,)
        How many records of each group are selected at least.
    """

    certain: Mask
    group: NDArray[np.int64] | None
    labels: NDArray[Any]
    least: NDArray[np.int64]

    @classmethod
    def checked(
        cls, certainty: Any, at_least: Any, groups: Any, eligible: Mask, names: tuple[str, ...] | None
    ) -> Self:
        """Check `certainty`, `at_least` and `groups_of_records` against the records that may be selected."""
        n = len(eligible)
        certain = record_mask("certainty", certainty, n, names)
        outside = np.flatnonzero(certain & ~eligible)
        if outside.size:
            raise InputError(f"certainty holds {_named(outside[0], names)}, which has no base weight")
        if at_least is not None and not isinstance(at_least, Mapping):
            raise validation.wrong_kind("at_least", "a mapping from group to number of records", at_least)
        if groups is None:
            if at_least is not None:
                raise InputError("at_least needs groups_of_records, a label for each record")
            return cls(certain, None, np.empty(0), np.empty(0, np.int64))
        array = validation.labels("groups_of_records", groups, n, per="record")
        labels, group = np.unique(array, return_inverse=True)
        size, least = np.bincount(group[eligible], minlength=len(labels)), np.zeros(len(labels), np.int64)
        for label, number in (at_least or {}).items():
            (found,) = np.nonzero(labels == label) if np.ndim(label) == 0 else (np.empty(0, np.int64),)
            if not found.size:
                guess = did_you_mean(label, labels.tolist()) if isinstance(label, str) else ""
                raise InputError(f"at_least names the group {label!r}, which groups_of_records lacks{guess}")
            least[found[0]] = validation.integer(f"at_least[{label!r}]", number, at_least=0)
            if least[found[0]] > size[found[0]]:
                has = f"the group has {size[found[0]]} records with a base weight"
                raise InputError(f"at_least[{label!r}] is {number}, but {has}")
        return cls(certain, group, labels, least)

    @property
    def are_given(self) -> bool:
        """Whether anything is required."""
        return bool(self.certain.any() or self.least.any())

    def check_count(self, name: str, k: int) -> None:
        """Refuse fewer records than are required."""
        needed = int(np.count_nonzero(self.certain))
        what = f"{needed} records of certainty"
        if self.group is not None and self.least.any():
            held = np.bincount(self.group[self.certain], minlength=len(self.least))
            needed += int(np.maximum(self.least - held, 0).sum())
            what = "the records of certainty and those of at_least"
        if k < needed:
            raise InputError(f"{name} must be at least {needed}, for {what}; got {k}")

    def probabilities(self, sizes: Floats, least: Floats, k: float) -> Floats:
        """Return inclusion probabilities that add up to k: those of `inclusion_probabilities` raised.

        Records of certainty have 1, and the probabilities of a group add up to at least what is required of
        it.
        """
        if not self.are_given:
            return inclusion_probabilities(sizes, least, k)
        p, rest = np.where(self.certain, 1.0, 0.0), ~self.certain & (sizes > 0)
        while rest.any():
            p[rest] = inclusion_probabilities(sizes[rest], least[rest], max(k - p[~rest].sum(), 1e-9))
            if self.group is None:
                break
            expected = np.bincount(self.group, p, len(self.least))
            open_ = np.bincount(self.group[rest], minlength=len(self.least)) > 0
            short = np.flatnonzero((expected < self.least * (1.0 - 1e-9)) & open_)
            if not short.size:
                break
            for group in short:
                here = rest & (self.group == group)
                wanted = min(self.least[group] - p[~rest & (self.group == group)].sum(), here.sum())
                p[here] = inclusion_probabilities(sizes[here], least[here], wanted)
                rest &= self.group != group
        return p

    def missing(self, is_in: Mask, probabilities: Floats) -> Mask:
        """Return which records to add so that the requirements hold: the likeliest of those that are out."""
        if not self.are_given:
            return np.zeros(len(is_in), bool)
        added = self.certain & ~is_in
        if self.group is None:
            return added
        short = self.least - np.bincount(self.group[is_in | added], minlength=len(self.least))
        for group in np.flatnonzero(short > 0):
            out = np.flatnonzero((self.group == group) & ~is_in & ~added & (probabilities > 0))
            added[out[np.argsort(-probabilities[out], kind="stable")[: short[group]]]] = True
        return added

    def staying(self, records: NDArray[np.int64], ratios: Floats) -> Mask:
        """Return which of some records must not leave them.

        A group keeps what is required of it if only its other records leave: those of the smallest ratios.
        """
        if not self.are_given:
            return np.zeros(len(records), bool)
        stays = self.certain[records].copy()
        if self.group is None or not self.least.any():
            return stays
        group = self.group[records]
        order = np.lexsort((-ratios, ~stays, group))
        first = np.searchsorted(group[order], np.arange(len(self.least)))
        rank = np.arange(len(records)) - first[group[order]]
        stays[order[rank < self.least[group[order]]]] = True
        return stays

    def counts(self, records: NDArray[np.int64]) -> dict[Any, int] | None:
        """Return the number of records in each group; None without groups."""
        if self.group is None:
            return None
        count = np.bincount(self.group[records], minlength=len(self.labels))
        return dict(zip(self.labels.tolist(), count.tolist(), strict=True))


NOTHING = Requirements(np.empty(0, bool), None, np.empty(0), np.empty(0, np.int64))


def record_mask(name: str, value: Any, n: int, names: tuple[str, ...] | None) -> Mask:
    """Return a mask of n records, from a mask, from indices or from names."""
    mask = np.zeros(n, bool)
    if value is None:
        return mask
    array = np.atleast_1d(np.asarray(validation.on_host(value)))
    if array.dtype.kind == "b":
        validation.check_length(name, array, n, "True or False", "record")
        return array.astype(bool)
    if array.ndim > 1:
        raise InputError(f"{name} must be one-dimensional, it has shape {array.shape}")
    if array.dtype.kind in "iu":
        validation.check_elements(
            name, array, (array < 0) | (array >= n), f"M has the records 0 to {n - 1}", None
        )
        mask[array] = True
    elif array.size and all(isinstance(label, str) for label in array.tolist()):
        if names is None:
            raise InputError(f"{name} names {array[0]!r}, but the records have no names: give M as a frame")
        unknown = [label for label in array.tolist() if label not in set(names)]
        if unknown:
            guess = did_you_mean(unknown[0], list(names))
            raise InputError(f"{name} names {unknown[0]!r}, which is not the name of a record{guess}")
        mask |= np.isin(np.asarray(names), array)
    elif array.size:
        raise validation.wrong_kind(name, "indices of records, a boolean mask or names of records", value)
    return mask


def _named(j: int, names: tuple[str, ...] | None) -> str:
    return f"record {j}" if names is None else f"record {names[j]!r}"

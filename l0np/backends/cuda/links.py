"""Folded rows on a CUDA device: their links by level, and the kernels that add along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import Fold

THREADS = 256
WARP = 32


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of rows, each of one row: that of ``rows[i]`` is ``items[starts[i] : starts[i + 1]]``."""

    rows: Any
    starts: Any
    items: Any

    @classmethod
    def of(cls, cupy: Any, owners: NDArray[np.int32], items: NDArray[np.int32]) -> Lists:
        """Return the lists of pairs of rows, on the device."""
        order = np.argsort(owners, kind="stable")
        rows, first = np.unique(owners[order], return_index=True)
        starts = np.append(first, len(owners)).astype(np.int32)
        return cls(*(cupy.array(part) for part in (rows, starts, items[order])))

    def launch(self, kernel: Any, threads_each: int, *arguments: Any) -> None:
        """Launch a kernel with so many threads for each list."""
        blocks = -(-len(self.rows) * threads_each // THREADS)
        lists = self.rows, self.starts, self.items, np.int32(len(self.rows))
        kernel((blocks,), (THREADS,), (*lists, *arguments))


@dataclass(frozen=True, eq=False)
class Links:
    """The links of a fold by level of the parent, the lowest first; no levels where nothing is folded."""

    levels: tuple[tuple[Lists, Lists], ...] = ()  # the children of each parent, the parents of each child

    @classmethod
    def on(cls, cupy: Any, fold: Fold | None) -> Links:
        """Move the links of a fold to the device."""
        if fold is None:
            return cls()
        pairs = [(fold.parents[links], fold.children[links]) for links in fold.level_slices()]
        return cls(tuple((Lists.of(cupy, *pair), Lists.of(cupy, *reversed(pair))) for pair in pairs))

    def __bool__(self) -> bool:
        """Whether rows are folded."""
        return bool(self.levels)

    def add_children(self, kernels: dict[str, Callable[..., None]], totals: Any, clock: Any) -> None:
        """Add to each parent what its children have; note in the clock what is not finite."""
        for children, _ in self.levels:
            children.launch(kernels["add_children"], WARP, totals, clock)

    def add_parents(self, kernels: dict[str, Callable[..., None]], gradient: Any) -> None:
        """Add to each child what its parents have."""
        for _, parents in reversed(self.levels):
            parents.launch(kernels["add_parents"], 1, gradient)

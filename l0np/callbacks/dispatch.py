"""How callbacks are called: what one may do beside looking at reports, and all callbacks of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from l0np.callbacks.progress import Progress, RunningFit, StageProgress
from l0np.engine import Checkpoint
from l0np.errors import CheckpointError


class Callback(Protocol):
    """What is called at each report; True stops the fit."""

    def __call__(self, progress: Progress) -> bool | None:
        """Look at the progress; return True to stop."""


class FitCallback:
    """A callback that also learns when a fit starts and ends; without that, any function will do.

    Subclasses define `__call__`, and of the rest what they need.

    Attributes
    ----------
    every : int or None
        Epochs between calls; None means the `verbose_freq` of the fit. The last epoch is always reported.
    after_others : bool
        Whether it is called after all others, and only if none of them stops the fit.
    first_rank_only : bool
        Whether, where ranks share the columns, only the first one calls it, because it prints or writes. All
        others are called on every rank.

    Examples
    --------
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import FitCallback
    >>> class Show(FitCallback):
    ...     every = 2
    ...
    ...     def __call__(self, progress):
    ...         print(progress.epoch)
    ...
    ...     def close(self, final):
    ...         print("completed" if final else "interrupted")
    >>> model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    >>> _ = model.fit([[1.0, 1.0]], [2.0], epochs=4, callbacks=[Show()])
    2
    4
    completed
    """

    every: int | None = None
    after_others: bool = False
    first_rank_only: bool = False

    def start(self, fit: RunningFit, memory: Mapping[str, Any] | None) -> None:
        """Prepare for a fit, before its first epoch; `memory` is that of the checkpoint if it is resumed."""

    def __call__(self, progress: Progress | StageProgress) -> bool | None:
        """Look at the progress; return True to stop."""
        raise NotImplementedError

    def memory(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep of this callback: numbers, arrays and dicts of these."""
        return {}

    def close(self, final: Callable[[], Checkpoint] | None) -> None:
        """Finish after a fit; `final` makes its checkpoint, or is None if an exception interrupted it."""


class Callbacks:
    """All callbacks of a run, called in their order.

    Parameters
    ----------
    callbacks : sequence of callables
        What the user gave.
    verbose_freq : int
        Epochs between calls of those that have no period of their own.
    is_first : bool
        Whether this is the first of the ranks that share the columns, or the only one.

    Examples
    --------
    >>> from l0np.callbacks import Callbacks, StageProgress
    >>> callbacks = Callbacks([lambda progress: print(progress.stage), lambda progress: True])
    >>> callbacks.report_stage(StageProgress("sampling"))
    sampling
    True
    """

    def __init__(
        self,
        callbacks: Sequence[Callable[[Any], bool | None]],
        verbose_freq: int = 1,
        *,
        is_first: bool = True,
    ) -> None:
        self._verbose_freq = verbose_freq
        self._periods = {verbose_freq, *map(self._period, callbacks)}  # the same on all ranks
        if not is_first:
            callbacks = [one for one in callbacks if getattr(one, "first_rank_only", False) is not True]
        last = [callback for callback in callbacks if getattr(callback, "after_others", False) is True]
        self._first = [callback for callback in callbacks if not any(callback is other for other in last)]
        self._last = last

    @property
    def periods(self) -> tuple[int, ...]:
        """Epochs between reports: a report is due at each multiple of each of these."""
        return tuple(self._periods)

    def start(self, fit: RunningFit, memories: Mapping[str, Mapping[str, Any]]) -> None:
        """Announce a fit; `memories` are those of the checkpoint that it is resumed from, else empty."""
        for name, callback in self._named():
            try:
                callback.start(fit, memories.get(name))
            except (KeyError, TypeError, ValueError) as error:
                if name not in memories:
                    raise
                raise CheckpointError(
                    f"what the checkpoint keeps of {name} cannot be used: {error}"
                ) from error

    def report(self, progress: Progress) -> bool:
        """Call those that are due, all if the training ends here; return whether one of them stops it."""
        epoch = progress.epoch

        def due(callbacks: list[Callable[[Any], bool | None]]) -> list[Callable[[Any], bool | None]]:
            # Ctrl-C may be pressed while the first callbacks run, and then the others are due
            ends = progress.interrupted or epoch == progress.last_epoch
            return [callback for callback in callbacks if ends or epoch % self._period(callback) == 0]

        return _call(due(self._first), progress) or _call(due(self._last), progress)

    def report_stage(self, progress: StageProgress) -> bool:
        """Call all; return whether one of them stops the run."""
        return _call(self._first + self._last, progress)

    def memories(self) -> dict[str, dict[str, Any]]:
        """Return what a checkpoint keeps of the callbacks, by their names."""
        kept = {name: callback.memory() for name, callback in self._named()}
        return {name: memory for name, memory in kept.items() if memory}

    def close(self, final: Callable[[], Checkpoint] | None) -> None:
        """Announce the end of a fit."""
        for _, callback in self._named():
            callback.close(final)

    def _period(self, callback: Callable[..., Any]) -> int:
        every = callback.every if isinstance(callback, FitCallback) else None
        return every or self._verbose_freq

    def _named(self) -> Iterator[tuple[str, FitCallback]]:
        """Yield those that take part in a fit's start and end, by class and number within the class."""
        seen: Counter[str] = Counter()
        for callback in self._first + self._last:
            if isinstance(callback, FitCallback):
                kind = type(callback).__name__
                seen[kind] += 1
                yield (kind if seen[kind] == 1 else f"{kind} {seen[kind]}"), callback


def _call(callbacks: Sequence[Callable[[Any], bool | None]], progress: Progress | StageProgress) -> bool:
    answers = [callback(progress) for callback in callbacks]
    return any(isinstance(answer, bool | np.bool_) and answer for answer in answers)

"""`Stages`: how a run of several stages reports to callbacks, and learns that one of them stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from l0np.callbacks.dispatch import Callbacks
from l0np.callbacks.printed import stage_report
from l0np.callbacks.progress import StageProgress
from l0np.engine import Communicator
from l0np.inputs import validation
from l0np.targets import Targets

Value = TypeVar("Value")


class Stages:
    """The stages of a run, such as "sampling" and "refit", for its callbacks.

    Loops call `report` and end early if it returns True; stages that follow make do with what there is. As a
    context it tells callbacks at its end that the run has ended. Without callbacks nothing is reported.

    Parameters
    ----------
    callbacks : sequence of callables
        Each gets a `StageProgress`; one that returns True stops the run.
    targets : Targets, optional
        The targets to which reported estimates belong.
    ranks : Communicator, optional
        The ranks that run the stages together; all of them have as many callbacks.

    Attributes
    ----------
    stopped : bool
        Whether a callback has stopped the run.

    Examples
    --------
    >>> from l0np.callbacks import Stages
    >>> def show(progress):
    ...     print(progress.label, progress.fraction)
    >>> with Stages([show, lambda progress: progress.fraction == 0.5]) as stages:
    ...     _ = stages.begin("sampling")
    ...     while not stages.report(0.5):
    ...         pass
    sampling None
    sampling 0.5
    """

    def __init__(
        self,
        callbacks: Sequence[Callable[[Any], bool | None]] = (),
        targets: Targets | None = None,
        ranks: Communicator | None = None,
    ) -> None:
        self.callbacks, self.stopped, self._ranks = tuple(callbacks), False, ranks
        self._dispatch = Callbacks(self.callbacks, is_first=ranks is None or ranks.rank == 0)
        self._targets = targets
        self._stage, self._began = "", time.monotonic()
        self._size: tuple[int, int] | None = None

    @classmethod
    def checked(
        cls,
        callbacks: Any,
        verbose: Any,
        targets: Targets | None = None,
        ranks: Communicator | None = None,
    ) -> Self:
        """Check the `callbacks` and `verbose` of a public function; verbose runs print their stages first."""
        given = validation.callables("callbacks", callbacks)
        return cls((stage_report(), *given) if validation.flag("verbose", verbose) else given, targets, ranks)

    def __enter__(self) -> Self:
        """Begin the run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell callbacks that the run has ended."""
        self._dispatch.close(None)

    def begin(self, stage: str) -> bool:
        """Begin a stage; return whether a callback has stopped the run."""
        self._stage, self._began = stage, time.monotonic()
        return self.report()

    def report(self, fraction: float | None = None, estimates: NDArray[np.float64] | None = None) -> bool:
        """Report how far the stage has come; return whether a callback has stopped the run.

        Once it is stopped, no callback is called any more.
        """
        if self.callbacks and not self.stopped:
            size, n_sizes = self._size or (None, None)
            seconds = time.monotonic() - self._began
            progress = StageProgress(self._stage, fraction, seconds, self._targets, estimates, size, n_sizes)
            self.stopped = self._dispatch.report_stage(progress)
            if self._ranks is not None:  # any of them may stop the run
                self.stopped = bool(np.any(self._ranks.allgather(np.array([self.stopped]))))
        return self.stopped

    def each(self, sizes: Iterable[Value]) -> Iterator[Value]:
        """Yield the sizes of a path, at least the first; end early if a callback has stopped the run."""
        values = list(sizes)
        for number, value in enumerate(values, start=1):
            if number > 1 and self.stopped:
                break
            self._size = number, len(values)
            yield value
        self._size = None

"""`checkpoint`: writes what an interrupted fit needs to be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from l0np.callbacks.dispatch import FitCallback
from l0np.callbacks.progress import Progress, RunningFit, StageProgress
from l0np.engine import Checkpoint, Communicator, has_checkpoint, write_checkpoint, write_part
from l0np.errors import CheckpointWarning, InputError, warn
from l0np.inputs import validation

DEFAULT_EVERY = 50


def checkpoint(
    folder: str | PathLike[str],
    every: int | None = None,
    *,
    seconds: float | None = None,
    resume: bool = False,
) -> Callable[[Progress | StageProgress], None]:
    """Return a callback that writes checkpoints, from which `resume` of the model goes on after a crash.

    A checkpoint is a folder ``checkpoint-000001`` (numbered on) in `folder`: the arrays in ``arrays.npz``,
    without pickle, and beside them ``checkpoint.json`` with the format's version, the arguments of the model
    and of `fit`, the seed and checksums of the arrays, the matrix and the targets. It is written under
    another name, synced to the disk and renamed, so that a crash at any moment leaves the ones before it
    whole. The last two are kept. The last one of a fit that has ended holds the model as `fit` left it.
    Writing takes from a few milliseconds, most of them for the disk to sync: where epochs are fast, `seconds`
    costs less than `every`.

    If a checkpoint cannot be written, for instance because the disk is full, a warning says so once, the
    training goes on, and the last good checkpoints stay.

    Where ranks share the columns each writes its part, in a folder of its own in `folder`, and the first one
    a manifest once all parts are there; the fit may be resumed on another number of ranks.

    Parameters
    ----------
    folder : str or path
        Where the checkpoints are; created if necessary. A new fit does not start where there are checkpoints
        of another one: resume that, remove them or use another folder.
    every : int, optional
        Epochs between checkpoints, 1 or more, whatever `verbose_freq` is; 50 unless `seconds` is given.
    seconds : float, optional
        Instead of `every`: write at the first report (see `verbose_freq`) after this time, above 0.
    resume : bool
        In `calibrate`: go on from the newest checkpoint in `folder`, if there is one, where gates are
        trained. All other arguments must be those of the interrupted run. `resume` of the models does not
        need it.

    Returns
    -------
    callable
        The callback.

    Raises
    ------
    InputError, InputTypeError
        For arguments that cannot be used.
    OSError
        If the folder cannot be created.

    Warns
    -----
    CheckpointWarning
        If a checkpoint cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import checkpoint
    >>> def crash(progress):
    ...     if progress.epoch == 100:
    ...         raise RuntimeError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    ...     try:
    ...         _ = model.fit([[1.0, 1.0]], [2.0], epochs=200, callbacks=[checkpoint(folder, 50), crash])
    ...     except RuntimeError:
    ...         model = SparseCalibrationWeights.resume(folder, [[1.0, 1.0]], [2.0])
    >>> model.epoch_
    200
    """
    if seconds is not None:
        if every is not None:
            raise InputError("checkpoint: give every (epochs) or seconds, not both")
        seconds = validation.real_number("seconds", seconds, above=0.0)
    else:
        every = validation.integer("every", DEFAULT_EVERY if every is None else every, at_least=1)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return CheckpointWriter(path, every, seconds, validation.flag("resume", resume))


class CheckpointWriter(FitCallback):
    """The callback that `checkpoint` returns."""

    after_others = True  # so that a checkpoint knows what they have made of its report

    def __init__(self, folder: Path, every: int | None, seconds: float | None, resume: bool = False) -> None:
        self._folder, self.every, self._seconds = folder, every, seconds
        self._written = 0.0
        self._ranks: Communicator | None = None  # of the running fit
        self._owns_folder, self._has_warned = resume, False
        self.resumes_from = folder if resume else None

    def start(self, fit: RunningFit, memory: Mapping[str, Any] | None) -> None:
        """Refuse to mix the checkpoints of two runs."""
        self._written, self._ranks = time.monotonic(), fit.ranks
        is_own = fit.resumed_from is not None and fit.resumed_from.resolve() == self._folder.resolve()
        if not (is_own or self._owns_folder) and has_checkpoint(self._folder):
            cure = "resume that run, remove its checkpoints or use another folder"
            raise InputError(f"{str(self._folder)!r} holds checkpoints of another run: {cure}")
        self._owns_folder = True

    def __call__(self, progress: Progress | StageProgress) -> None:
        """Write a checkpoint, if it is time; that of the last epoch is written at the end of the fit."""
        if isinstance(progress, StageProgress):  # in which nothing is trained that could be resumed
            return
        is_time = self._seconds is None or time.monotonic() - self._written >= self._seconds
        if self._ranks is not None and self._ranks.size > 1:  # whose clocks differ
            is_time = bool(self._ranks.allgather(np.array([is_time]))[0])
        if progress.epoch < progress.last_epoch and (is_time or progress.interrupted):
            self._write(progress.checkpoint)

    def close(self, final: Callable[[], Checkpoint] | None) -> None:
        """Write the checkpoint of a fit that has ended."""
        if final is not None:
            self._write(final)

    def _write(self, make: Callable[[], Checkpoint]) -> None:
        self._written = time.monotonic()
        try:
            if self._ranks is not None and self._ranks.size > 1:
                write_part(self._folder, make(), self._ranks)
            else:
                write_checkpoint(self._folder, make())
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                message = f"no checkpoint was written to {str(self._folder)!r}: {error}. Training goes on"
                warn(message, CheckpointWarning)
        else:
            self._has_warned = False

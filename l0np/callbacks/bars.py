"""`progress_bar`: a bar of tqdm, in a terminal or a notebook. The only file that imports tqdm."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from l0np._text import number, percent
from l0np.callbacks.dispatch import FitCallback
from l0np.callbacks.progress import Progress, StageProgress
from l0np.engine import Checkpoint
from l0np.errors import MissingPackageError
from l0np.inputs import validation

EPOCHS = "{desc}: {percentage:3.0f}%|{bar}| epoch {n:.0f}/{total:.0f} [{elapsed}<{remaining}{postfix}]"
FRACTION = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
UNKNOWN = "{desc} [{elapsed}{postfix}]"


def progress_bar(*, min_seconds: float = 0.1, file: Any = None) -> Callable[[Progress | StageProgress], None]:
    """Return a callback that shows a bar: epoch, loss, active count, worst relative error and time left.

    In a notebook it is a widget of tqdm. The other stages of a run have a bar each, with the part that is
    done where it is known. Of frequent reports only some are drawn, and only for those is anything computed.

    Parameters
    ----------
    min_seconds : float
        Least time between two drawings, 0 or more, in seconds; the end of a fit is drawn in any case.
    file : file object, optional
        Where a terminal's bar is written; standard error by default.

    Returns
    -------
    callable
        The callback.

    Raises
    ------
    MissingPackageError
        If tqdm is not installed.
    InputError, InputTypeError
        For a `min_seconds` that is not a number of at least 0.

    Examples
    --------
    >>> import io
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import progress_bar
    >>> screen = io.StringIO()
    >>> model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    >>> _ = model.fit([[1.0, 1.0]], [2.0], epochs=200, callbacks=[progress_bar(file=screen)])
    >>> "epoch 200/200" in screen.getvalue(), "loss=0, active=2, worst=0.00%" in screen.getvalue()
    (True, True)
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as reason:
        raise MissingPackageError("progress_bar", "tqdm", "progress") from reason
    return ProgressBar(tqdm, validation.real_number("min_seconds", min_seconds, at_least=0.0), file)


class ProgressBar(FitCallback):
    """The callback that `progress_bar` returns; `tqdm` is the class of its bars."""

    first_rank_only = True

    def __init__(self, tqdm: Any, min_seconds: float, file: Any) -> None:
        self._tqdm, self._min_seconds, self._file = tqdm, min_seconds, file
        self._bar: Any = None
        self._label = ""
        self._drawn = -math.inf
        self._waiting: Progress | StageProgress | None = None  # the last report, if it is not drawn

    def __call__(self, progress: Progress | StageProgress) -> None:
        """Draw the report, unless the last drawing is too recent."""
        label = progress.stage if isinstance(progress, Progress) else progress.label
        if self._bar is None or label != self._label:
            self.close(None)
            self._label, self._bar = label, self._opened(progress, label)
        self._waiting = progress
        if time.monotonic() - self._drawn >= self._min_seconds:
            self._draw(progress)

    def _draw(self, progress: Progress | StageProgress) -> None:
        self._drawn, self._waiting = time.monotonic(), None
        self._bar.n = progress.epoch if isinstance(progress, Progress) else (progress.fraction or 0.0)
        self._bar.set_postfix_str(_described(progress), refresh=False)
        self._bar.refresh()

    def close(self, final: Callable[[], Checkpoint] | None) -> None:
        """Draw the last report, and leave the cursor in the next line."""
        if self._bar is not None:
            if self._waiting is not None:
                self._draw(self._waiting)
            self._bar.close()
        self._bar, self._drawn, self._waiting = None, -math.inf, None

    def _opened(self, progress: Progress | StageProgress, label: str) -> Any:
        options: dict[str, Any] = {"desc": label, "file": self._file, "dynamic_ncols": True}
        if isinstance(progress, Progress):
            first, last = progress.start_epoch, progress.last_epoch
            options |= {"initial": first, "total": last, "bar_format": EPOCHS}
        elif progress.fraction is not None:
            options |= {"total": 1.0, "bar_format": FRACTION}
        else:
            options |= {"bar_format": UNKNOWN}
        bar = self._tqdm(**options, delay=1e-9)  # the delay: nothing is drawn before the first report is
        bar.start_t -= progress.seconds  # the bar opens at the first report, when time has passed
        return bar


def _described(progress: Progress | StageProgress) -> str:
    worst = progress.worst_error
    parts = [] if worst is None else [f"worst={percent(worst)}"]
    if isinstance(progress, Progress):
        parts = [f"loss={number(progress.loss)}", f"active={progress.active_count:,}", *parts]
    return ", ".join(parts)

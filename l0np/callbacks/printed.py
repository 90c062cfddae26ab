"""Reports of a running fit that are printed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from l0np._text import counted, percent, percentage
from l0np.callbacks.progress import Progress, StageProgress
from l0np.targets import metrics


def calibration_report(groups: NDArray[Any] | None) -> Callable[[Progress], None]:
    """Return a callback that prints errors, loss and active count, then the spread of active weights.

    If targets are held out, a third line shows their errors, which the first leaves out.
    """

    def report(progress: Progress) -> None:
        fitted, n_columns, active = progress.fitted, progress.n_columns, progress.active_count
        errors, held_out = progress.relative_errors[fitted], progress.relative_errors[~fitted]
        if groups is None:
            mean = f"mean_error={errors.mean():.4%}"
        else:
            mean = f"mean_group_mare={metrics.mean_group_error(errors, groups[fitted]):.4%}"
        whose = " of rank 0" if progress.n_ranks > 1 else ""
        print(  # noqa: T201
            f"Epoch {progress.epoch:4d}: {mean}, max_error={errors.max():.1%}, "
            f"total_loss={progress.loss:.3f}, "
            f"active={active:4d}/{n_columns} ({1 - active / n_columns:.1%} sparse)\n"
            f"         Weight dist{whose}: {_weight_distribution(progress.weights[progress.weights > 0])}",
            flush=True,
        )
        if held_out.size:
            print(  # noqa: T201
                f"         Held out: {counted(held_out.size, 'target')}, mean_error={held_out.mean():.4%}, "
                f"max_error={held_out.max():.1%}",
                flush=True,
            )

    report.first_rank_only = True  # type: ignore[attr-defined]
    return report


def regression_report(progress: Progress) -> None:
    """Print one line: loss, its two parts and the active count."""
    print(  # noqa: T201
        f"Epoch {progress.epoch:4d}: loss={progress.loss:.4f}, mse={progress.data_loss:.4f}, "
        f"l0={progress.l0_penalty:.2f}, active={progress.active_count}",
        flush=True,
    )


regression_report.first_rank_only = True  # type: ignore[attr-defined]


def stage_report(min_seconds: float = 1.0) -> Callable[[Progress | StageProgress], None]:
    """Return a callback that prints a line when a stage begins, and then one every `min_seconds` seconds.

    Examples
    --------
    >>> from l0np.callbacks import StageProgress, stage_report
    >>> report = stage_report()
    >>> report(StageProgress("sampling"))
    sampling
    """
    label, printed = "", -math.inf

    def report(progress: Progress | StageProgress) -> None:
        nonlocal label, printed
        now = progress.stage if isinstance(progress, Progress) else progress.label
        if now == label and time.monotonic() - printed < min_seconds:
            return
        parts = [] if progress.fraction is None else [percentage(progress.fraction, 0)]
        parts += [f"epoch {progress.epoch}"] if isinstance(progress, Progress) else []
        parts += [] if progress.worst_error is None else [f"worst error {percent(progress.worst_error)}"]
        parts += [f"{progress.seconds:.1f} s"] if progress.seconds >= 0.1 else []
        print(f"{now}: {', '.join(parts)}" if parts else now, flush=True)  # noqa: T201
        label, printed = now, time.monotonic()

    report.first_rank_only = True  # type: ignore[attr-defined]
    return report


def _weight_distribution(active: NDArray[Any]) -> str:
    if not active.size:
        return "[no active weights]"
    proportions = metrics.weight_histogram(active) / active.size
    parts = [f"{name}: {part:.1%}" for name, part in zip(metrics.WEIGHT_CLASSES, proportions, strict=True)]
    return f"[{', '.join(parts)}]"

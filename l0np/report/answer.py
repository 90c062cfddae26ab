"""`ReportedAnswer`: what a report reads of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np.targets import TargetTable


class ReportedAnswer(Protocol):
    """What a report reads of an answer: see `Calibration`, which has all of it."""

    @property
    def weights(self) -> NDArray[np.float64]: ...  # noqa: D102  # see Calibration
    @property
    def indices(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def base_weights(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def refit(self) -> Any: ...  # noqa: D102
    @property
    def targets(self) -> TargetTable: ...  # noqa: D102
    @property
    def diagnostics(self) -> Any: ...  # noqa: D102
    @property
    def missed(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def tried(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def keys(self) -> Any: ...  # noqa: D102
    @property
    def stopped(self) -> bool: ...  # noqa: D102
    @property
    def n_active_by_group(self) -> dict[Any, int] | None: ...  # noqa: D102

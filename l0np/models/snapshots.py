"""What a checkpoint holds: arguments and state of the model, settings, targets, what tells the matrix."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from l0np.callbacks import Callbacks, RunningFit
from l0np.engine import Backend, Checkpoint, Communicator, State
from l0np.matrix import ColumnMatrix
from l0np.models.records import encode
from l0np.models.settings import TrainingSettings
from l0np.targets import Targets


@dataclass(frozen=True)
class InterruptedFit:
    """What `train_on` has to know of the fit that it resumes.

    Attributes
    ----------
    first_epoch : int
        Epochs that the model had trained before the interrupted fit.
    folder : Path
        Where its checkpoints are.
    memories : mapping from name to mapping
        What the checkpoint keeps of callbacks.
    """

    first_epoch: int
    folder: Path
    memories: Mapping[str, Mapping[str, Any]]


class Model(Protocol):
    """What checkpoints have to know of a model, and do with it."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Replace its state."""


@dataclass(frozen=True, eq=False)
class Snapshots:
    """The checkpoints of one fit.

    Attributes
    ----------
    model : str
        Name of the model's class.
    arguments : callable
        Returns those of its constructor, by name.
    settings, targets, matrix
        What `GatedModel.train_on` was given.
    backend : Backend
        That of the model.
    """

    model: str
    arguments: Callable[[], Mapping[str, Any]]
    settings: TrainingSettings
    targets: Targets
    matrix: Any
    backend: Backend

    @cached_property
    def constant(self) -> Checkpoint:
        """What is the same in all checkpoints of the fit, computed for the first."""
        arrays: dict[str, NDArray[Any]] = {}
        arguments, settings = self.arguments(), settings_of(self.settings)
        document = {
            "library_version": library_version(),
            "model": self.model,
            "seed": arguments["seed"],
            "arguments": {name: encode(f"arguments/{name}", v, arrays) for name, v in arguments.items()},
            "settings": {name: encode(f"settings/{name}", v, arrays) for name, v in settings.items()},
            "targets": encode("targets", self.targets, arrays),
            "targets_sha256": sha256(self.targets.value),
            "matrix": fingerprint(self.matrix, self.backend),
        }
        return Checkpoint(arrays, document)


class WatchedFit:
    """A fit with its callbacks, as a context: they learn that it ends, and whether by an exception.

    Parameters
    ----------
    model : Model
        The model that is trained.
    state_dict : callable
        Returns the `state_dict` of a state.
    snapshots : Snapshots
        What checkpoints hold beside the state.
    epochs : (int, int)
        Where the training starts and where it ends.
    interrupted : InterruptedFit, optional
        The fit that is resumed.
    ranks : Communicator
        The ranks that share the columns; what callbacks print and write, the first one does.
    """

    def __init__(
        self,
        model: Model,
        state_dict: Callable[[State], dict[str, Any]],
        snapshots: Snapshots,
        epochs: tuple[int, int],
        interrupted: InterruptedFit | None,
        ranks: Communicator,
    ) -> None:
        settings = snapshots.settings
        self.callbacks = Callbacks(settings.callbacks, settings.verbose_freq, is_first=ranks.rank == 0)
        self._model, self._snapshots, self._has_started = model, snapshots, False
        self._memories = interrupted.memories if interrupted else {}
        self.fit = RunningFit(
            first_epoch=interrupted.first_epoch if interrupted else epochs[0],
            start_epoch=epochs[0],
            last_epoch=epochs[1],
            resumed_from=interrupted.folder if interrupted else None,
            state_dict=state_dict,
            restore=model.load_state_dict,
            checkpoint=lambda state: self._checkpoint(state_dict(state), has_ended=False),
            ranks=ranks,
        )

    def start(self) -> None:
        """Announce the fit to the callbacks."""
        self._has_started = True
        self.callbacks.start(self.fit, self._memories)

    def __enter__(self) -> Self:
        """Do nothing yet: a fit of no epochs has no callbacks."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Announce the end of the fit."""
        if self._has_started:
            whole = error is None
            self.callbacks.close(
                (lambda: self._checkpoint(self._model.state_dict(), has_ended=True)) if whole else None
            )

    def _checkpoint(self, state: Mapping[str, Any], *, has_ended: bool) -> Checkpoint:
        constant = self._snapshots.constant
        arrays, memories = dict(constant.arrays), self.callbacks.memories()
        changing = {
            "first_epoch": self.fit.first_epoch,
            "last_epoch": self.fit.last_epoch,
            "epoch": state["epoch"],
            "has_ended": has_ended,
            "state": {name: encode(f"state/{name}", value, arrays) for name, value in state.items()},
            "callbacks": {name: encode(f"callbacks/{name}", m, arrays) for name, m in memories.items()},
        }
        return Checkpoint(arrays, constant.document | changing)


def settings_of(settings: TrainingSettings) -> dict[str, Any]:
    """Return all settings by name but the callbacks, which are given again."""
    return {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "callbacks"}


def fingerprint(matrix: Any, backend: Backend) -> dict[str, Any]:
    """Return what tells a matrix, in the form in which it is trained on, from others."""
    with backend.active():
        on_host = np.asarray if isinstance(matrix, ColumnMatrix) else backend.to_numpy
        data, indices, indptr = (on_host(array) for array in (matrix.data, matrix.indices, matrix.indptr))
    fold = matrix.fold if isinstance(matrix, ColumnMatrix) else None
    links = () if fold is None else (fold.parents, fold.children)
    return {
        "shape": [int(n) for n in matrix.shape],
        "form": "ColumnMatrix" if isinstance(matrix, ColumnMatrix) else "device",
        "non_zeros": len(data),
        "folded_rows": 0 if fold is None else fold.n_folded,
        "pattern_sha256": sha256(indptr, indices, *links),
        "values_sha256": sha256(data),
    }


def sha256(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays and their dtypes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.dtype.str.encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def library_version() -> str:
    """Return the version of l0np that is installed."""
    try:
        return importlib.metadata.version("l0np")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"

"""Resuming an interrupted fit from its checkpoint: what `resume` of both models does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from l0np.callbacks import Progress
from l0np.engine import Checkpoint, Communicator
from l0np.errors import CheckpointError, InputError, InputTypeError
from l0np.inputs import validation
from l0np.models.checkpoint_parts import checkpoint_of_rank
from l0np.models.gated_model import GatedModel
from l0np.models.ranks import checked_communicator
from l0np.models.records import GivenAgain, decode
from l0np.models.resume_checks import check_matrix, check_options, check_y
from l0np.models.settings import TrainingSettings
from l0np.models.snapshots import InterruptedFit, fingerprint
from l0np.targets import TargetOptions, Targets, check_restored, takes_target_options

Model = TypeVar("Model", bound=GatedModel)
SCHEDULES = ("lr", "beta")  # what may be a function, which is given again


@dataclass(frozen=True)
class Changes:
    """What is given anew where a fit is resumed; None keeps what the checkpoint says.

    Attributes
    ----------
    epochs : int, optional
        The number of epochs of the interrupted fit, counted from its start.
    lr, beta : float or schedule, optional
        Learning rate and temperature.
    callbacks : sequence of callables
        Those of the interrupted fit are not kept.
    """

    epochs: int | None = None
    lr: float | Callable[[int], float] | None = None
    beta: float | Callable[[int], float] | None = None
    callbacks: Sequence[Callable[[Any], bool | None]] = ()


@dataclass(frozen=True, eq=False)
class StoredFit:
    """A checkpoint, decoded."""

    path: Path
    first_epoch: int
    last_epoch: int
    has_ended: bool
    arguments: dict[str, Any]
    settings: dict[str, Any]
    state: dict[str, Any]
    targets: Targets
    matrix: dict[str, Any]
    memories: dict[str, Any]


def _read(kind: type[GatedModel], path: Path, checkpoint: Checkpoint) -> StoredFit:
    """Decode a checkpoint."""
    document, arrays = checkpoint.document, checkpoint.arrays
    if document.get("model") != kind.__name__:
        raise CheckpointError(f"{str(path)!r} is of a {document.get('model')}, not of a {kind.__name__}")

    def decoded(part: str) -> dict[str, Any]:
        return {key: decode(value, arrays) for key, value in document[part].items()}

    def read() -> StoredFit:
        shape = [validation.integer("shape", n, at_least=0) for n in document["matrix"]["shape"]]
        targets = decode(document["targets"], arrays)
        if not isinstance(targets, Targets):
            raise CheckpointError("its targets are of another kind")
        check_restored("targets", targets, shape[0])
        counts = {
            key: validation.integer(key, document[key], at_least=0) for key in ("first_epoch", "last_epoch")
        }
        arguments, state = decoded("arguments"), decoded("state")
        validation.integer("epoch", state["epoch"], at_least=counts["first_epoch"])
        if arguments["n_features"] != len(state["log_alpha"]):  # before a model of that size is made
            raise CheckpointError("n_features is not the length of its arrays")
        return StoredFit(
            path=path,
            has_ended=validation.flag("has_ended", document["has_ended"]),
            arguments=arguments,
            settings=decoded("settings"),
            state=state,
            targets=targets,
            matrix=document["matrix"],
            memories=decoded("callbacks"),
            **counts,
        )

    return _unless_invalid(path, read)


def _changed(stored: StoredFit, changes: Changes) -> tuple[dict[str, Any], TrainingSettings]:
    """Return the arguments of the model and the settings of the training that is left."""
    epochs = stored.last_epoch - stored.first_epoch
    done = stored.state["epoch"] - stored.first_epoch
    if changes.epochs is not None:
        epochs = validation.integer("epochs", changes.epochs, at_least=0)
        if epochs < done:
            raise InputError(
                f"epochs must be at least {done}, which the interrupted fit has trained, got {epochs}"
            )
    left = 0 if stored.has_ended and changes.epochs is None else epochs - done
    given: dict[str, Any] = {"lr": changes.lr, "beta": changes.beta}

    def changed(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value if given.get(name) is None else given[name] for name, value in part.items()}

    arguments = changed(stored.arguments)
    settings = changed(stored.settings)
    fold = settings.pop("fold", False)  # missing in checkpoints from before rows could be folded
    for name, value in [*arguments.items(), *settings.items()]:
        if isinstance(value, GivenAgain):
            if name not in SCHEDULES:
                raise CheckpointError(f"{str(stored.path)!r} holds a function as {name}")
            raise InputError(
                f"{name} was a function, which a checkpoint cannot hold: give the same to resume({name}=...)"
            )
    settings |= {"epochs": left, "callbacks": changes.callbacks}
    if changes.lr is not None:  # an error in it is the user's, any other the checkpoint's
        TrainingSettings.checked(lr=changes.lr)
    validation.callables("callbacks", changes.callbacks)
    return arguments, _checked(stored, lambda: TrainingSettings.checked(**settings).with_fold(fold))


Result = TypeVar("Result")


def _checked(stored: StoredFit, make: Callable[[], Result]) -> Result:
    return _unless_invalid(stored.path, make)


def _unless_invalid(path: Path, make: Callable[[], Result]) -> Result:
    """Return what `make` makes of a checkpoint; blame the checkpoint for what it refuses."""
    try:
        return make()
    except (InputError, InputTypeError, KeyError, TypeError, ValueError, AttributeError) as error:
        missing = "it lacks " if isinstance(error, KeyError) else ""
        raise CheckpointError(f"{str(path)!r} cannot be resumed: {missing}{error}") from error


def resume(
    kind: type[Model],
    name: str,
    folder: str | PathLike[str],
    given: tuple[Any, ArrayLike],
    changes: Changes,
    targets_of: Callable[[int, np.dtype[Any]], Targets] | None = None,
    communicator: Communicator | None = None,
    judged: bool = True,
) -> Model:
    """Return a model of class `kind`, trained to the end of the fit whose checkpoints are in `folder`.

    `given` is the matrix, called `name`, and y; `targets_of` makes the targets from the number of rows and
    the dtype if the user gave target options, which must then be those of the checkpoint.
    """
    ranks = checked_communicator(communicator)
    found = checkpoint_of_rank(Path(folder), ranks, lambda: _n_columns(given[0]))
    stored = _read(kind, *found)
    arguments, settings = _changed(stored, changes)
    model = _checked(stored, lambda: kind(**arguments))
    _checked(stored, lambda: model.load_state_dict(stored.state))
    fold = settings.fold if communicator is None else False
    matrix = model._trainable(name, given[0], fold)
    check_matrix(name, fingerprint(matrix, model._backend), stored.matrix)
    validation.check_order("y", given[1], name, given[0])
    n = matrix.shape[0]
    value = validation.vector("y", given[1], n, model.dtype, per=f"row of {name}").astype(np.float64)
    exact = validation.vector("y", given[1], n, np.dtype(np.float64), per=f"row of {name}")
    if not np.array_equal(exact, stored.targets.value):  # a selection trains on targets that are not rounded
        check_y(value, stored.targets)
    if targets_of is not None:
        check_options(targets_of(n, model.dtype), stored.targets)
    fit = InterruptedFit(stored.first_epoch, Path(folder), stored.memories)
    return model.train_on(
        matrix,
        stored.targets,
        settings,
        answer_like=given,
        interrupted=fit,
        judged=judged,
        communicator=communicator,
    )


class ResumableModel(GatedModel):
    """A gated model of records and targets whose interrupted fits can be resumed."""

    @classmethod
    @takes_target_options
    def resume(
        cls,
        folder: str | PathLike[str],
        M: Any,
        y: ArrayLike,
        *,
        epochs: int | None = None,
        lr: float | Callable[[int], float] | None = None,
        beta: float | Callable[[int], float] | None = None,
        callbacks: Sequence[Callable[[Progress], bool | None]] = (),
        communicator: Communicator | None = None,
        **options: Unpack[TargetOptions],
    ) -> Self:
        """Return a model that has trained what an interrupted `fit` still had to train, bit for bit.

        The fit must have had the callback `l0np.callbacks.checkpoint`. The model's arguments, its state, the
        settings of the fit and the target options come from the newest checkpoint. Of a fit that had ended,
        the model is returned as the fit left it, and nothing is trained; checkpoints stay.

        Parameters
        ----------
        folder : str or path
            Where the checkpoints are.
        M, y
            As in `fit`, and the same.
        epochs : int, optional
            The number of epochs of the interrupted fit, counted from its start, if it is to be another one.
        lr, beta : float or schedule, optional
            Learning rate and temperature, if they are to be others. Functions must be given again; the
            schedules of `l0np.schedules` are kept.
        callbacks : sequence of callables
            As in `fit`; those of the interrupted fit are not kept, nor is `verbose`. `csv_log` continues its
            file and `checkpoint` its folder; `early_stopping` and `history` go on from the checkpoint.
        communicator : Communicator, optional
            As in `fit`. The interrupted fit may have been on another number of ranks, which may have divided
            the columns in another way; then M is not compared with that of the checkpoint.
        **options
            The target options may be left out. If any is given, all that `fit` was given must be, and they
            must be the same; `loss_type` is one of them.

        Returns
        -------
        ResumableModel
            The model.

        Raises
        ------
        CheckpointError
            If there is no checkpoint, or none that is whole and of this version.
        InputError, InputTypeError
            For another matrix, other targets or other options than those of the fit, for a function that must
            be given again, and for other arguments that cannot be used.
        DivergenceError
            As in `fit`.

        Warns
        -----
        CheckpointWarning
            If the newest checkpoint is damaged, so that the one before it is used.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from l0np import SparseCalibrationWeights
        >>> from l0np.callbacks import checkpoint
        >>> M = np.random.default_rng(0).uniform(size=(3, 50))
        >>> y = M.sum(axis=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = SparseCalibrationWeights(50, seed=0)
        ...     model = model.fit(M, y, lr=0.1, epochs=80, callbacks=[checkpoint(folder)])
        ...     longer = SparseCalibrationWeights.resume(folder, M, y, epochs=90)
        >>> longer.epoch_, bool((model.fit(M, y, lr=0.1, epochs=10).log_weight == longer.log_weight).all())
        (90, True)
        """

        def targets(n: int, dtype: np.dtype[Any]) -> Targets:
            return Targets.build(y, n, M=M, dtype=dtype, **options)

        changes = Changes(epochs, lr, beta, callbacks)
        return resume(cls, "M", folder, (M, y), changes, targets if options else None, communicator)


class ResumableRegression(GatedModel):
    """A gated regression whose interrupted fits can be resumed."""

    @classmethod
    def resume(
        cls,
        folder: str | PathLike[str],
        X: Any,
        y: ArrayLike,
        *,
        epochs: int | None = None,
        lr: float | Callable[[int], float] | None = None,
        beta: float | Callable[[int], float] | None = None,
        callbacks: Sequence[Callable[[Progress], bool | None]] = (),
        communicator: Communicator | None = None,
    ) -> Self:
        """Return a model that has trained what an interrupted `fit` still had to train, bit for bit.

        All is as in `SparseCalibrationWeights.resume`, but for target options, of which there are none.

        Parameters
        ----------
        folder : str or path
            Where the checkpoints of the callback `l0np.callbacks.checkpoint` are.
        X, y
            As in `fit`, and the same.
        epochs : int, optional
            The number of epochs of the interrupted fit, counted from its start, if it is to be another one.
        lr, beta : float or schedule, optional
            Learning rate and temperature, if they are to be others. Functions must be given again.
        callbacks : sequence of callables
            As in `fit`; those of the interrupted fit are not kept.
        communicator : Communicator, optional
            As in `SparseCalibrationWeights.resume`.

        Returns
        -------
        ResumableRegression
            The model.

        Raises
        ------
        CheckpointError, InputError, InputTypeError, DivergenceError
            As in `SparseCalibrationWeights.resume`.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from l0np import SparseL0Linear
        >>> from l0np.callbacks import checkpoint
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = SparseL0Linear(4, seed=0).fit(X, X[:, 0], epochs=60, callbacks=[checkpoint(folder)])
        ...     SparseL0Linear.resume(folder, X, X[:, 0]).epoch_
        60
        """
        changes = Changes(epochs, lr, beta, callbacks)
        return resume(cls, "X", folder, (X, y), changes, communicator=communicator)


def _n_columns(M: Any) -> int:
    return int(M.shape[1] if hasattr(M, "shape") else np.shape(M)[1])

"""`TrainingSettings`: the checked settings of one training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from l0np.callbacks import Progress
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix import checked_fold

DEFAULT_LAMBDA_L0 = 0.01
L2_ANCHORS = {None: None, "initial": "initial"}  # the choices for `l2_anchor`


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of one training, independent of the model; made by `TrainingSettings.checked`.

    Attributes
    ----------
    lambda_l0 : float or None
        L0 multiplier; None if a controller finds it for `n_active`.
    n_active : int or None
        Number of columns to select.
    lambda_l2 : float
        L2 multiplier: what the L2 penalty on the ungated weights is multiplied by.
    l2_anchor : str or None
        "initial" if that penalty is on relative distances from the initial weights, not on squared weights.
    lr : float or callable
        Learning rate of Adam, or a schedule ``epoch -> lr``; `GatedModel.train_on` checks its values.
    epochs : int
        Epochs to train.
    verbose_freq : int
        Epochs between reports.
    callbacks : tuple of callables
        What is called at each report.
    fold : "auto" or bool
        How the matrix was to be folded before the training (`ColumnMatrix.folded`), so that a fit that is
        resumed folds it likewise; `GatedModel.train_on` takes a matrix as it is.
    """

    lambda_l0: float | None
    n_active: int | None
    lambda_l2: float
    l2_anchor: str | None
    lr: float | Callable[[int], float]
    epochs: int
    verbose_freq: int
    callbacks: tuple[Callable[[Progress], bool | None], ...]
    fold: bool | str = "auto"

    @classmethod
    def checked(
        cls,
        *,
        lambda_l0: float | None = None,
        n_active: int | None = None,
        lambda_l2: float = 0.0,
        l2_anchor: str | None = None,
        lr: float | Callable[[int], float] = 0.01,
        epochs: int = 1000,
        verbose_freq: int = 100,
        callbacks: Sequence[Callable[[Progress], bool | None]] = (),
    ) -> Self:
        """Check each argument; error messages use the argument's name.

        Parameters
        ----------
        lambda_l0 : float, optional
            L0 multiplier, 0 or more; None means 0.01 unless `n_active` is given.
        n_active : int, optional
            Number of columns to select, 1 or more, instead of `lambda_l0`.
        lambda_l2 : float
            L2 multiplier, 0 or more.
        l2_anchor : {"initial"}, optional
            "initial" makes the L2 penalty one on relative distances from the initial weights.
        lr : float or callable
            Learning rate, above 0, or a schedule.
        epochs : int
            Epochs to train, 0 or more.
        verbose_freq : int
            Epochs between reports, 1 or more.
        callbacks : sequence of callables
            What is called at each report; see `l0np.callbacks`.

        Returns
        -------
        TrainingSettings
            The settings, numbers as int and float.

        Raises
        ------
        InputError, InputTypeError
            For a value out of its bounds, an object of the wrong kind, or both `lambda_l0` and `n_active`.

        Examples
        --------
        >>> from l0np.models import TrainingSettings
        >>> settings = TrainingSettings.checked(n_active=20, lr=0.1)
        >>> settings.epochs, settings.lambda_l0
        (1000, None)
        >>> TrainingSettings.checked().lambda_l0
        0.01
        """
        if n_active is not None:
            n_active = validation.integer("n_active", n_active, at_least=1)
            if lambda_l0 is not None:
                raise InputError("n_active finds its own lambda_l0: give one of them")
        elif lambda_l0 is None:
            lambda_l0 = DEFAULT_LAMBDA_L0
        epochs = validation.integer("epochs", epochs, at_least=0)
        return cls(
            lambda_l0=None
            if lambda_l0 is None
            else validation.real_number("lambda_l0", lambda_l0, at_least=0.0),
            n_active=n_active,
            lambda_l2=validation.real_number("lambda_l2", lambda_l2, at_least=0.0),
            l2_anchor=validation.one_of("l2_anchor", l2_anchor, L2_ANCHORS),
            lr=lr if callable(lr) else validation.real_number("lr", lr, above=0.0),
            epochs=epochs,
            verbose_freq=validation.integer("verbose_freq", verbose_freq, at_least=1),
            callbacks=validation.callables("callbacks", callbacks),
        )

    def with_fold(self, fold: bool | str) -> Self:
        """Return the settings with another `fold`, checked.

        Raises
        ------
        InputTypeError
            For anything but "auto", True and False.
        """
        return replace(self, fold=checked_fold(fold))

    def check_for(self, n_features: int, *, use_gates: bool, positive: bool) -> None:
        """Refuse what a model cannot do.

        Raises
        ------
        InputError
            If `n_active` is more than `n_features`, or is given without gates; or if there is an anchor, and
            the model's weights are not `positive`.
        """
        if self.l2_anchor is not None and not positive:
            rule = "that of SparseCalibrationWeights; this model's coefficients start near 0"
            raise InputError(f'l2_anchor="initial" requires a model with positive initial weights: {rule}')
        if self.n_active is not None:
            validation.integer("n_active", self.n_active, at_least=1, at_most=n_features)
            if not use_gates:
                raise InputError("n_active requires gates: this model has use_gates=False")

    def learning_rate(self, first_epoch: int) -> Callable[[int], float]:
        """Return ``epoch -> lr`` for the epochs to train; a schedule is checked at each of them.

        Raises
        ------
        InputError, InputTypeError
            For a value of the schedule that is not a positive number.
        """
        return validation.schedule("lr", self.lr, first_epoch, self.epochs)

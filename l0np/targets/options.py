"""`TargetOptions`: what may be asked of targets beside their values, documented once for all functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from numpy.typing import ArrayLike

from l0np.inputs import known_arguments


class TargetOptions(TypedDict, total=False):
    """Options on targets: keyword arguments of `calibrate` and of every other function that takes targets.

    Parameters
    ----------
    loss_type : {"mse", "relative", "absolute"}
        What training minimises: the weighted sum of squared errors, of squared relative errors, or of
        absolute relative errors (smoothed below 0.1 %). Relative errors are errors over ``|y + 1|``;
        `target_scales` replaces that. Refits divide errors by ``|y|``. Where targets contradict each other,
        they minimise the sum of absolute errors for "absolute", which misses few targets, and the sum of
        squares else, which misses each by a little. Selections that train no gates compare squares in any
        case, and warn where "absolute" was asked for.
    target_groups : array of shape (Q,), optional
        A label for each target: groups count alike, and have errors of their own in diagnostics.
    normalize_groups : bool
        Divide each target's weight by the number of fitted targets in its group (the default).
    group_multipliers : mapping from label to float, optional
        Factors on the weights of whole groups, 0 or more; applied last.
    target_weights : float or array of shape (Q,), optional
        Factors on the weights of single targets, 0 or more; a target of weight 0 is only scored.
    target_scales : float or array of shape (Q,), optional
        What errors are divided by, above 0, for instance the targets' standard errors.
    tolerances : float or array of shape (Q,), optional
        Errors that cost nothing, 0 or more, in the units of y: only what exceeds them counts.
    caps : float or array of shape (Q,), optional
        The most that one target adds to the loss for each unit of its weight, above 0; infinity for no cap. A
        wrong target then spoils little: with squared relative errors and a cap of 1, none costs more than an
        error of 100 % would. With "absolute" a target whose error reaches the cap is given up.
    aggregates : Aggregate, array of Q labels, matrix of shape (G, Q), or list of these, optional
        Totals of targets that are to be met too: see `l0np.Aggregate`.
    exclude : array of row indices, boolean mask of shape (Q,), or names, optional
        Targets that are held out: scored, not fitted.
    names : sequence of Q strings, optional
        What targets are called; by default the index of M or y, where that is a pandas object with labels.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import TargetOptions, calibrate
    >>> options: TargetOptions = {"names": ["people", "income"], "tolerances": [0.0, 50.0], "caps": 0.1}
    >>> calibrate(np.array([[1.0, 1.0], [30.0, 50.0]]), [10.0, 450.0], base_weights=5.0, **options).missed
    ()
    """

    loss_type: str
    target_groups: ArrayLike | None
    normalize_groups: bool
    group_multipliers: Mapping[Any, float] | None
    target_weights: ArrayLike | None
    target_scales: ArrayLike | None
    tolerances: ArrayLike | None
    caps: ArrayLike | None
    aggregates: Any
    exclude: Any
    names: Sequence[str] | None


# What an option is where the user does not give it
DEFAULTS: TargetOptions = {
    "loss_type": "mse",
    "target_groups": None,
    "normalize_groups": True,
    "group_multipliers": None,
    "target_weights": None,
    "target_scales": None,
    "tolerances": None,
    "caps": None,
    "aggregates": None,
    "exclude": None,
    "names": None,
}


# Decorator of public functions that take ``**options: Unpack[TargetOptions]``
takes_target_options = known_arguments(DEFAULTS)

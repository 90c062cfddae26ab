"""The known name that a user probably meant by an unknown one: "did you mean ...?"."""

from collections.abc import Iterable, Mapping, Sequence

from l0np.inputs.messages import quoted

CUTOFF = 0.7  # similarity, as difflib measures it, from which on a name is suggested
# What other packages call an argument, and what it is called here: the first that the function knows
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("k", "n", "n_records", "size", "sizes", "sample_size", "n_nonzero_coefs", "n_select"),
        ("n_active", "n_features"),
    ),
    **dict.fromkeys(
        ("weights", "design_weights", "sampling_weights", "d", "w", "initial_weights", "sample_weight"),
        ("base_weights", "init_weights", "reference", "weight"),
    ),
    "init_weights": ("base_weights", "reference"),
    "base_weights": ("init_weights", "reference"),
    "learning_rate": ("lr",),
    **dict.fromkeys(("n_epochs", "num_epochs", "n_iter", "max_iter", "iterations", "steps"), ("epochs",)),
    **dict.fromkeys(("lambda", "lambda_", "alpha", "l0", "penalty"), ("lambda_l0", "lambda_l2")),
    **dict.fromkeys(("l2", "ridge", "weight_decay"), ("lambda_l2",)),
    **dict.fromkeys(("targets", "totals", "population_totals", "target"), ("y",)),
    **dict.fromkeys(("X", "x", "M", "m", "A", "matrix", "features", "data"), ("M", "X")),
    **dict.fromkeys(("X_sparse", "x_sparse", "M_sparse"), ("M", "X")),
    **dict.fromkeys(("loss", "loss_fn", "objective"), ("loss_type",)),
    **dict.fromkeys(("random_state", "random_seed", "rng"), ("seed",)),
    **dict.fromkeys(("groups", "group"), ("target_groups",)),
    **dict.fromkeys(("target_names", "labels"), ("names",)),
    **dict.fromkeys(("temperature",), ("beta",)),
    **dict.fromkeys(("scales", "scale"), ("target_scales",)),
    **dict.fromkeys(("callback",), ("callbacks",)),
}
# The same for values of options
VALUES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("chi2", "linear", "least squares", "euclidean"), ("chi-square",)),
    **dict.fromkeys(("multiplicative", "exponential", "rake", "ipf", "entropy"), ("raking",)),
    **dict.fromkeys(("mae", "l1", "abs"), ("absolute",)),
    **dict.fromkeys(("l2", "squared", "squared error", "squared_error", "rmse"), ("mse",)),
    **dict.fromkeys(("mape", "percentage"), ("relative",)),
    "cube": ("balanced",),
    **dict.fromkeys(("ols", "ls"), ("least squares",)),
    **dict.fromkeys(("l0", "hard concrete"), ("gates",)),
    "float": ("float64", "float32"),
}


def closest(
    given: str, known: Iterable[str], synonyms: Mapping[str, tuple[str, ...]] | None = None
) -> str | None:
    """Return the known name that was probably meant; None if no name is near.

    A name with synonyms stands for the first of these that is known, and for no other: what it resembles
    may mean something else.

    Examples
    --------
    >>> closest("tolerance", ["tolerances", "caps"]), closest("learning_rate", ["lr", "epochs"], ARGUMENTS)
    ('tolerances', 'lr')
    >>> closest("precision", ["tolerances", "caps"]) is None
    True
    """
    import difflib  # only where there is an error to explain

    names, table = list(known), synonyms or {}
    meant = table.get(given, table.get(given.lower()))
    if meant is not None:
        return next((name for name in meant if name in names), None)
    by_lower = {name.lower(): name for name in reversed(names)}
    found = difflib.get_close_matches(given.lower(), by_lower, n=1, cutoff=CUTOFF)
    return by_lower[found[0]] if found else None


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """Return the end of a message on a user's own names that suggests the closest; empty if none is near.

    Examples
    --------
    >>> did_you_mean("incme", ["income", "age"])
    ': did you mean "income"?'
    """
    name = closest(given, known)
    return "" if name is None else f": did you mean {quoted(name)}?"

"""Names of columns: kept by what was fitted to a frame, and matched with those of later frames."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from l0np.errors import InputError
from l0np.inputs.frames import column_labels, has_labels, is_pandas
from l0np.inputs.messages import listed_names

Names = tuple[str, ...]


def column_names(matrix: Any) -> Names | None:
    """Return the names of a frame's columns, as strings.

    Returns None for anything else, and for a frame whose columns are only numbered by a default index.
    """
    labels = column_labels(matrix)
    return None if labels is None else tuple(map(str, labels))


def in_order_of(names: Names | None, name: str, matrix: Any, cure: str = "") -> Any:
    """Return a frame with its columns in the order of `names`, which were kept at a fit.

    Whatever has no names counts by position, and is returned as it is.

    Parameters
    ----------
    names : tuple of str, optional
        The names that were kept, if any.
    name : str
        What messages call the matrix.
    matrix : object
        The matrix as the user gave it.
    cure : str
        What else a message advises where the columns are others.

    Raises
    ------
    InputError
        If the frame lacks columns or has others, and if columns of one name would have to be matched.
    """
    given = column_names(matrix)
    if names is None or given is None or given == names:
        return matrix
    missing, unknown = _without(names, given), _without(given, names)
    if len(missing) == len(set(names)) and len(given) != len(names):
        return matrix  # another matrix altogether, or transposed: the check of the shape says so
    if missing or unknown:
        found = [f"missing {listed_names(missing)}"] if missing else []
        found += [f"not known {listed_names(unknown)}"] if unknown else []
        by_position = f"; if their order is right, pass {name}.to_numpy()" if len(given) == len(names) else ""
        raise InputError(f"{name} has other columns than at the fit: {', '.join(found)}{by_position}{cure}")
    repeated = [label for label, count in Counter([*names]).items() if count > 1 or given.count(label) > 1]
    if repeated:
        rule = "columns in another order than at the fit are matched by name, so names must be unique"
        raise InputError(f"{name} has several columns of the name {listed_names(repeated)}: {rule}")
    place = {label: j for j, label in enumerate(given)}
    order = [place[label] for label in names]
    return matrix.iloc[:, order] if is_pandas(matrix) else matrix[:, order]


def values_in_order(name: str, value: Any, matrix_name: str, matrix: Any, ordered: Any) -> Any:
    """Return one value for each column in the order of `ordered`, into which a matrix was brought.

    Raises
    ------
    InputError
        If the order of the columns has changed and the values do not say to which columns they belong.
    """
    if ordered is matrix or np.ndim(value) == 0:
        return value
    if not is_pandas(value) or not has_labels(value.index):
        rule = f"the columns of {matrix_name} are not in the order of the fit"
        raise InputError(f"{name} must be a Series with the names of the columns, because {rule}")
    labels = ordered.columns
    return value.reindex(labels) if value.index.is_unique and set(value.index) == set(labels) else value


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    known = set(others)
    return [label for label in dict.fromkeys(names) if label not in known]

"""Where something is wrong: elements of vectors, entries, rows and columns of matrices, by label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputTypeError
from l0np.inputs.frames import column_labels, is_frame, is_pandas, missing_and_wrong, row_labels
from l0np.inputs.messages import and_more, axes, described, quoted


def element(name: str, i: int, labels: Any = None) -> str:
    """Return how a message refers to an element of a vector: by its label, or by position without labels.

    Examples
    --------
    >>> element("y", 1, ("people", "income")), element("y", 1)
    ('y["income"]', 'y[1]')
    """
    return f"{name}[{i if labels is None else quoted(labels[i])}]"


def entry(name: str, source: Any, row: int, column: int) -> tuple[str, str]:
    """Return how a message refers to an entry of a matrix, and in words what that is if it has labels.

    `source` is the matrix as the user gave it.

    Examples
    --------
    >>> entry("M", [[1.0, 2.0]], 0, 1)
    ('M[0, 1]', '')
    """
    rows, columns = row_labels(source), column_labels(source)
    if not is_frame(source) or (rows is None and columns is None):
        return f"{name}[{row}, {column}]", ""
    i = str(row) if rows is None else quoted(rows[row])
    j = str(column) if columns is None else quoted(columns[column])
    of_row, of_column = axes(name)
    # The variable comes first: a row of M, a column of X
    words = f"{of_column} {j} of {of_row} {i}" if name == "X" else f"{of_row} {i} of {of_column} {j}"
    return f"{name}[{i}, {j}]", f": {words}"


def not_numbers(name: str, source: Any, array: NDArray[Any]) -> InputTypeError:
    """Return the error for a frame or a Series of which some elements are not real numbers."""
    wrong = np.ones(array.shape, bool) if array.dtype.kind != "O" else missing_and_wrong(source, array)[1]
    must = f"{name} must hold real numbers"
    if array.ndim == 1:
        first = int(np.flatnonzero(wrong)[0])
        where = element(name, first, row_labels(source))
        found = f"{where} is {described(array[first])}{and_more(int(wrong.sum()))}"
        return InputTypeError(f"{must}, {found}; its dtype is {array.dtype}")
    rows, columns = np.flatnonzero(wrong.any(axis=1)), np.flatnonzero(wrong.any(axis=0))
    example = array[wrong][0]
    if len(rows) < len(columns):
        axis, places, labels, dtype = "row", rows, row_labels(source), array.dtype
    else:
        dtypes = source.dtypes.tolist() if is_pandas(source) else source.dtypes
        axis, places, labels, dtype = "column", columns, column_labels(source), dtypes[columns[0]]
    which = int(places[0])
    where = f"{axis} {which if labels is None else quoted(labels[which])}{and_more(len(places))}"
    if not isinstance(example, str):
        kind = type(example).__name__
        return InputTypeError(f"{must}, {where} holds {kind} ({dtype}): convert it to numbers")
    encode = "pandas.get_dummies" if is_pandas(source) else "DataFrame.to_dummies"
    cure = f"encode it as numbers, for instance with {encode}"
    return InputTypeError(f"{must}, {where} holds strings ({dtype}): {cure}")

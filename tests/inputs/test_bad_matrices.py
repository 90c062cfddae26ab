"""Matrices that are refused: which error, what it says, and that the model is as it was before the call."""

import numpy as np
import pytest
from bad_inputs import (
    DATES,
    FORMATS,
    MATRIX,
    NAN_AT,
    M,
    N,
    Q,
    Y,
    assert_refused,
    both_kinds,
    case,
    changed,
    trained,
)
from scipy import sparse

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError


def with_dtype(format_name, dtype):
    """Return a sparse matrix of a dtype that SciPy does not support, but lets happen."""
    matrix = sparse.csr_array(M).asformat(format_name)
    matrix.data = matrix.data.astype(int).astype(dtype)
    return matrix


STRINGS = M.astype(str)

OBJECTS = M.astype(object)

BAD_MATRICES = [
    case("too few columns", M[:, :-1], InputError, ["{M} must have n_features = 6 columns", "(9, 5)"]),
    case(
        "too many columns",
        np.ones((Q, N + 1)),
        InputError,
        ["{M} must have n_features = 6 columns", "(9, 7)"],
    ),
    case("transposed", M.T, InputError, ["{M}", "(6, 9)", "transposed", "{M}.T"]),
    case("transposed list", M.T.tolist(), InputError, ["{M}", "transposed"]),
    case("transposed csr", sparse.csr_array(M.T), InputError, ["{M}", "transposed"]),
    case("transposed ColumnMatrix", ColumnMatrix.build(M.T), InputError, ["{M}", "transposed"]),
    case("number", 1.0, InputError, ["{M} must have two dimensions", "()"]),
    case("NumPy number", np.float64(1.0), InputError, ["{M} must have two dimensions", "()"]),
    case("1-D", M[0], InputError, ["{M} must have two dimensions", "(6,)"]),
    case("3-D", M[None], InputError, ["{M} must have two dimensions", "(1, 9, 6)"]),
    case("1-D sparse", sparse.coo_array(M[0]), InputError, ["{M} must have two dimensions", "(6,)"]),
    case("3-D sparse", sparse.coo_array(M[None]), InputError, ["{M} must have two dimensions", "(1, 9, 6)"]),
    case("0 rows", M[:0], InputError, ["{M} is empty", "(0, 6)"]),
    case("0 rows sparse", sparse.csr_array((0, N)), InputError, ["{M} is empty", "(0, 6)"]),
    case("0 columns", M[:, :0], InputError, ["{M} must have n_features = 6 columns", "(9, 0)"]),
    case(
        "0 columns sparse",
        sparse.csc_array((Q, 0)),
        InputError,
        ["{M} must have n_features = 6 columns", "(9, 0)"],
    ),
    case("empty list", [], InputError, ["{M} must have two dimensions"]),
    case("nan", NAN_AT, InputError, ["{M}[2, 3] is nan"]),
    case("inf", changed(M, (8, 5), np.inf), InputError, ["{M}[8, 5] is inf"]),
    case("-inf", changed(M, (0, 0), -np.inf), InputError, ["{M}[0, 0] is -inf"]),
    case("nan in a list", NAN_AT.tolist(), InputError, ["{M}[2, 3] is nan"]),
    *(
        case(f"nan in {f}", sparse.csr_array(NAN_AT).asformat(f), InputError, ["{M}[2, 3] is nan"])
        for f in FORMATS
    ),
    case("inf in csc", sparse.csc_array(changed(M, (2, 3), np.inf)), InputError, ["{M}[2, 3] is inf"]),
    case("several", changed(M, slice(1, 3), np.nan), InputError, ["{M}[1, 0] is nan", "12"]),
    case("1e39", changed(M, (2, 3), 1e39), InputError, ["{M}[2, 3] is inf", "1e+39", "float32"]),
    case(
        "1e39 in csr",
        sparse.csr_array(changed(M, (2, 3), 1e39)),
        InputError,
        ["{M}[2, 3] is inf", "1e+39", "float32"],
    ),
    case(
        "1e39 in ColumnMatrix",
        ColumnMatrix.build(changed(M, (2, 3), -1e39), "float64"),
        InputError,
        ["{M}[2, 3] is -inf"],
    ),
    case(
        "1e5 as longdouble 1e400", np.full((Q, N), np.longdouble("1e400")), InputError, ["{M}[0, 0] is inf"]
    ),
    case("complex", M.astype(complex), InputTypeError, ["{M} must hold real numbers", "complex128"]),
    case("object", OBJECTS, InputTypeError, ["{M} must hold real numbers", "object"]),
    case("string", STRINGS, InputTypeError, ["{M} must hold real numbers", "<U"]),
    case("dates", DATES, InputTypeError, ["{M} must hold real numbers", "datetime64"]),
    case("durations", DATES - DATES, InputTypeError, ["{M} must hold real numbers", "timedelta64"]),
    case("list of strings", STRINGS.tolist(), InputTypeError, ["{M} must hold real numbers"]),
    case(
        "list with None",
        changed(M, (0, 0), None, object).tolist(),
        InputTypeError,
        ["{M} must hold real numbers"],
    ),
    *(
        case(
            f"complex {f}",
            sparse.csr_array(M).astype(complex).asformat(f),
            InputTypeError,
            ["{M}", "complex128"],
        )
        for f in FORMATS
    ),
    *(
        case(f"object {f}", with_dtype(f, object), InputTypeError, ["{M}", "object"])
        for f in ("csr", "csc", "coo", "bsr")
    ),
    *(
        case(f"dates {f}", with_dtype(f, "M8[s]"), InputTypeError, ["{M}", "datetime64"])
        for f in ("csr", "csc", "coo")
    ),
    case("string csr", with_dtype("csr", str), InputTypeError, ["{M}", "<U"]),
    case("ragged", [[1.0] * N, [1.0]], InputError, ["{M} cannot be read as an array"]),
    case("None", None, InputTypeError, ["{M} must be an array", "None"]),
    case("str", "matrix", InputTypeError, ["{M} must be an array", "'matrix'"]),
    case("dict", {"a": 1}, InputTypeError, ["{M} must be an array", "dict"]),
    case("masked", np.ma.masked_greater(M, 1.9), InputTypeError, ["{M} is a masked array"]),
    case("masked, nothing hidden", np.ma.masked_array(M), InputTypeError, ["{M} is a masked array"]),
]


@both_kinds
@pytest.mark.parametrize(("matrix", "error", "parts"), BAD_MATRICES)
def test_matrix_is_refused(kind, matrix, error, parts):
    model = trained(kind)
    parts = [part.replace("{M}", MATRIX[kind]) for part in parts]
    assert_refused(lambda: model.fit(matrix, Y), error, parts, model)
    assert_refused(lambda: model.predict(matrix), error, parts, model)


@both_kinds
def test_no_guess_where_the_matrix_is_not_transposed(kind):
    with pytest.raises(InputError) as caught:
        kind(N, device="numpy").fit(M[:, :-1], Y)
    assert "transposed" not in str(caught.value)

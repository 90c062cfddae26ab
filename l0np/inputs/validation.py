"""All checks in one namespace, for other subpackages: ``validation.real_number("lr", lr, above=0.0)``."""

from l0np.inputs.arguments import unknown_argument
from l0np.inputs.arrays import (
    DIVISIBLE,
    FLOATS,
    SQUARABLE,
    cast,
    check_columns,
    check_elements,
    check_kind,
    check_length,
    check_rows,
    check_shape,
    check_squarable,
    column_values,
    float_dtype,
    native,
    numeric_array,
    scalar_or_vector,
    vector,
)
from l0np.inputs.device import is_on_a_device, on_host
from l0np.inputs.frames import check_order, has_labels, is_pandas, row_labels
from l0np.inputs.messages import and_more, axes, wrong_kind
from l0np.inputs.places import entry
from l0np.inputs.rows import labels, multipliers, sample_weights
from l0np.inputs.scalars import Bounds, callables, flag, integer, one_of, pair, real_number, schedule
from l0np.inputs.states import check_state_keys, read_state

__all__ = [
    "DIVISIBLE",
    "FLOATS",
    "SQUARABLE",
    "Bounds",
    "and_more",
    "axes",
    "callables",
    "cast",
    "check_columns",
    "check_elements",
    "check_kind",
    "check_length",
    "check_order",
    "check_rows",
    "check_shape",
    "check_squarable",
    "check_state_keys",
    "column_values",
    "entry",
    "flag",
    "float_dtype",
    "has_labels",
    "integer",
    "is_on_a_device",
    "is_pandas",
    "labels",
    "multipliers",
    "native",
    "numeric_array",
    "on_host",
    "one_of",
    "pair",
    "read_state",
    "real_number",
    "row_labels",
    "sample_weights",
    "scalar_or_vector",
    "schedule",
    "unknown_argument",
    "vector",
    "wrong_kind",
]

"""Checks of what users pass: numbers, arrays, labels, frames, names of columns, schedules and options.

Whatever passes here is trusted everywhere else: no other subpackage checks numbers again. A check takes the
argument's name and value, and returns the value in the form that the package uses or raises one error that
says what was passed, what was wanted, and where. Matrices are checked in `l0np.matrix`, targets as a whole in
`l0np.targets`.
"""

from l0np.inputs import validation
from l0np.inputs.arguments import known_arguments
from l0np.inputs.column_names import column_names, in_order_of, values_in_order
from l0np.inputs.device import is_on_a_device
from l0np.inputs.frames import index_names
from l0np.inputs.rows import partial_labels, row_mask, row_names
from l0np.inputs.suggestions import did_you_mean

__all__ = [
    "column_names",
    "did_you_mean",
    "in_order_of",
    "index_names",
    "is_on_a_device",
    "known_arguments",
    "partial_labels",
    "row_mask",
    "row_names",
    "validation",
    "values_in_order",
]

"""The checks of what users give: numbers, vectors, labels, schedules and options, each by its own name, before any work.

What passes here is trusted everywhere else: no other room checks numbers again. A check takes the argument's name and value,
and returns the value in the form that the package uses or raises one error that says what was given, what was wanted, and
where. Matrices are checked in `l0np.matrix`, targets as a whole in `l0np.targets`.
"""

from l0np.inputs import validation
from l0np.inputs.rows import index_names, partial_labels, row_mask, row_names
from l0np.inputs.validation import is_on_a_device

__all__ = ["index_names", "is_on_a_device", "partial_labels", "row_mask", "row_names", "validation"]

"""The matrix M of targets by records: `ColumnMatrix`, made and checked once from whatever users have, and read in blocks.

This is the only room that knows the formats of `scipy.sparse`. A `ColumnMatrix` is canonical and immutable, so that kernels
need no bounds checks.
"""

from l0np.matrix.blocks import column_entries, entry_blocks, weighted_totals
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.matrix.scipy_input import checked_shape, float_dtype, index_dtype

__all__ = [
    "ColumnMatrix",
    "checked_shape",
    "column_entries",
    "entry_blocks",
    "float_dtype",
    "index_dtype",
    "weighted_totals",
]

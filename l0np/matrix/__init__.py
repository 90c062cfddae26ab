"""The matrix M of targets by records: `ColumnMatrix`, made and checked once from whatever users have.

This is the only subpackage that knows the formats of `scipy.sparse`. A `ColumnMatrix` is canonical and
immutable, so that kernels need no bounds checks. It is read as a whole (`to_scipy`), some columns at a time
(`take`, `column_entries`), or in blocks of entries. Rows that are sums of other rows may be folded (`fold`),
that is, left out of the entries and added up in row space. A matrix is saved in a folder (`saved`), from
which it is opened as a memory map, whole or in part; `even_cuts` divides it. A `SharedMatrix` is one whose
columns ranks share, of which the functions of this room serve the whole.
"""

from l0np.matrix.blocks import (
    absolute_totals,
    column_entries,
    column_sums,
    entry_blocks,
    largest_entry,
    largest_in_columns,
    row_lengths,
    squared_totals,
    weighted_totals,
)
from l0np.matrix.checks import checked_shape, index_dtype
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.matrix.fold import Fold
from l0np.matrix.folding import checked_fold
from l0np.matrix.saved import even_cuts, is_saved
from l0np.matrix.shared import SharedMatrix

__all__ = [
    "ColumnMatrix",
    "Fold",
    "SharedMatrix",
    "absolute_totals",
    "checked_fold",
    "checked_shape",
    "column_entries",
    "column_sums",
    "entry_blocks",
    "even_cuts",
    "index_dtype",
    "is_saved",
    "largest_entry",
    "largest_in_columns",
    "row_lengths",
    "squared_totals",
    "weighted_totals",
]

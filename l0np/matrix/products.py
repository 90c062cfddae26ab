"""`FoldedProduct`: products with a matrix whose rows are folded, by `@` as with SciPy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.fold import Fold


class FoldedProduct:
    """A folded matrix M that multiplies vectors: ``form @ w`` and ``form.T @ r``, in float64.

    Parameters
    ----------
    stored : csc_array of shape (n_rows, n_columns)
        The entries that are stored, in float64.
    fold : Fold
        What gives the folded rows back.

    Attributes
    ----------
    shape : (int, int)
        Number of rows and of columns.
    nnz : int
        Number of entries that a product reads.
    T : object
        What multiplies rows.

    Examples
    --------
    Row 2 is the sum of rows 0 and 1, and not stored:

    >>> from scipy import sparse
    >>> fold = Fold(np.array([2, 2]), np.array([0, 1]), np.array([1, 1, 2]), (1.0, 3.0))
    >>> form = FoldedProduct(sparse.csc_array([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), fold)
    >>> form @ np.array([1.0, 2.0])
    array([1., 6., 7.])
    >>> form.T @ np.array([0.0, 0.0, 1.0])
    array([1., 3.])
    """

    def __init__(self, stored: Any, fold: Fold) -> None:
        self._stored, self._fold = stored, fold
        self.shape: tuple[int, int] = stored.shape
        self.nnz: int = stored.nnz
        self.T = _Transposed(stored, fold)

    def __matmul__(self, columns: Any) -> NDArray[np.float64]:
        """Return M @ columns."""
        totals: NDArray[np.float64] = self._stored @ np.asarray(columns, np.float64)
        self._fold.forward(totals)
        return totals


class _Transposed:
    def __init__(self, stored: Any, fold: Fold) -> None:
        self._stored, self._fold = stored, fold

    def __matmul__(self, rows: Any) -> NDArray[np.float64]:
        """Return M.T @ rows."""
        gradient = np.array(rows, np.float64)
        self._fold.adjoint(gradient)
        product: NDArray[np.float64] = self._stored.T @ gradient
        return product

"""Frames of any library: which library that is, and new frames of its kind."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from l0np.errors import MissingPackageError

KINDS = ("pandas", "polars", "pyarrow")  # the libraries whose frames answers can be
ANY_KIND = ("polars", "pandas", "pyarrow")  # the first of these that is installed, where no frame came in


def kind_of(value: Any) -> str | None:
    """Return the library of a frame, one of `KINDS`; None for anything else.

    Examples
    --------
    >>> import numpy as np
    >>> kind_of(np.eye(2)) is None
    True
    """
    package = type(value).__module__.split(".")[0]
    return package if package in KINDS and hasattr(value, "shape") else None


def default_kind() -> str:
    """Return the library whose frames are returned where no frame came in.

    Raises
    ------
    MissingPackageError
        If none is installed.
    """
    for package in ANY_KIND:
        if importlib.util.find_spec(package) is not None:
            return package
    raise MissingPackageError("a frame", "polars", "frames")


def frame_of(columns: Mapping[str, Any], kind: str | None) -> Any:
    """Return a frame with these columns, arrays of one length, of the kind that `kind_of` returned.

    Parameters
    ----------
    columns : mapping from str to array
        The columns.
    kind : str or None
        The library; None for the first of polars, pandas and pyarrow that is installed.

    Raises
    ------
    MissingPackageError
        If that library is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> frame_of({"name": np.array(["a", "b"]), "weight": np.array([1.0, 2.0])}, "pandas")
      name  weight
    0    a     1.0
    1    b     2.0
    """
    import narwhals as nw

    kind = default_kind() if kind is None else kind
    if importlib.util.find_spec(kind) is None:
        raise MissingPackageError("this frame", kind, "frames")
    # Lists of Python's own strings, because not every library takes NumPy's
    given = {name: _plain(column) for name, column in columns.items()}
    backend: Any = kind
    return nw.from_dict(given, backend=backend).to_native()


def _plain(column: Any) -> Any:
    return column.tolist() if getattr(getattr(column, "dtype", None), "kind", "") in ("O", "U") else column

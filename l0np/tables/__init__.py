"""Tables in and out: data frames of any kind, and files of CSV, Parquet or NumPy arrays.

Frames are read through narwhals, whatever library they come from; files are read by polars, which is loaded
here only. Answers are written under a temporary name and renamed, so that whoever stops a program finds the
old file or the new one.
"""

from l0np.tables.files import check_place, check_writable, replaced, table_format, write_columns, write_text
from l0np.tables.frames import ANY_KIND, default_kind, frame_of, kind_of
from l0np.tables.table import Table

__all__ = [
    "ANY_KIND",
    "Table",
    "check_place",
    "check_writable",
    "default_kind",
    "frame_of",
    "kind_of",
    "replaced",
    "table_format",
    "write_columns",
    "write_text",
]

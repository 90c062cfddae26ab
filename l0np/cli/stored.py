"""`l0np calibrate FOLDER TOTALS`: a saved matrix in the place of the records, on one rank or on several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import l0np
from l0np.cli.settings import Settings
from l0np.engine import Communicator, Serial
from l0np.errors import InputError
from l0np.matrix import ColumnMatrix, even_cuts
from l0np.mpi import World, is_launched
from l0np.tables import Table

# The options that a column of the totals gives, and what an empty cell stands for
OPTIONS = {
    "importance": ("target_weights", 1.0),
    "tolerance": ("tolerances", 0.0),
    "scale": ("target_scales", None),
    "cap": ("caps", np.inf),
    "group": ("target_groups", None),
    "exclude": ("exclude", False),
}
COLUMNS = ("name", "value", *OPTIONS)


def ranks_of_run() -> Communicator:
    """Return the ranks that mpiexec has started or, if it has not, one that computes as they do."""
    return World() if is_launched() else Serial(reproducible=True)


def calibrate_stored(settings: Settings, ranks: Communicator, show: Any) -> l0np.Calibration:
    """Calibrate the columns of a saved matrix; return the answer, on the first rank that of all columns."""
    folder, totals = settings.table("records"), settings.table("totals")
    columns = even_cuts(folder, ranks.size)[ranks.rank]
    own = ColumnMatrix.open(folder, columns, verify=settings.resume)
    y, options = _totals(totals, own.shape[0])
    weights = (
        None if settings.margins.get("weight") is None else _weights(settings.margins["weight"], columns)
    )
    unknown = [name for name in ("id", "unit", "missing", "uncovered") if settings.margins.get(name)]
    unknown += [name for name in ("certainty", "at_least") if getattr(settings, name)]
    if unknown:
        raise InputError(f"{unknown[0]} is an option for a table of records, and {folder} is a saved matrix")
    return l0np.calibrate(
        own,
        y,
        base_weights=weights,
        **settings.arguments,
        **options,
        callbacks=settings.callbacks(show),
        communicator=ranks,
        gather=True,
    )


def _weights(file: str, columns: slice) -> Any:
    path = Path(file)
    if path.suffix != ".npy" or not path.is_file():
        raise InputError(f"weight must be a .npy file of one base weight for each column, got {file}")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)[columns]
    except ValueError as reason:
        raise InputError(f"{path} cannot be read: {reason}") from reason


def _totals(file: Path, n_rows: int) -> tuple[Any, dict[str, Any]]:
    """Return the targets and their options: one row of the file for each row of the matrix, in its order."""
    table = Table.of("totals", file)
    for column in table.columns:
        if column not in COLUMNS:
            wanted = f"the totals of a saved matrix have the columns {', '.join(COLUMNS)}"
            raise InputError(f'{table.name} has the column "{column}": {wanted}')
    table.check_column("totals", "value")
    if len(table) != n_rows:
        raise InputError(
            f"{table.name} has {len(table)} rows, the matrix has {n_rows}: one for each is wanted"
        )
    if not table.is_numeric("value") or table.missing("value").any():
        raise InputError(f'"value" of {table.name} must hold a number in each row')
    y = table.numbers("value").astype(np.float64)
    options: dict[str, Any] = {}
    if "name" in table.columns:
        options["names"] = [str(name) for name in table.cells("name")]
    for column, (option, empty) in OPTIONS.items():
        if column not in table.columns:
            continue
        cells = table.cells(column)
        if empty is None and any(cell is None for cell in cells):
            if all(cell is None for cell in cells):
                continue
            raise InputError(f'"{column}" of {table.name} must be given in each row or in none')
        values = [empty if cell is None else cell for cell in cells]
        options[option] = values if column == "group" else np.asarray(values)
    return y, options

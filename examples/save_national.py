"""Save the records of a nation as a matrix on disk, block by block, and a table of totals beside it.

    python examples/save_national.py national 500000
    mpiexec -n 2 l0np calibrate national national_totals.csv --n-active 5000 --seed 1 --output weights.csv

Each record belongs to a district, its state and the nation, and has eight variables; every variable has a
total in each of these areas. No more than one block of records is in memory.
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np

from l0np import ColumnMatrix

DISTRICTS, STATES, VARIABLES, BLOCK = 50, 10, 8, 50_000
AREAS = DISTRICTS + STATES + 1


def save(folder: Path, n_records: int) -> Path:
    """Write the matrix to a folder and the totals beside it; return the path of the totals."""
    rng = np.random.default_rng(0)
    totals = np.zeros(VARIABLES * AREAS)
    with ColumnMatrix.writer(folder, VARIABLES * AREAS) as writer:
        for first in range(0, n_records, BLOCK):
            n = min(BLOCK, n_records - first)
            district = (first + np.arange(n)) * DISTRICTS // n_records  # the records are sorted by district
            areas = np.stack([district, DISTRICTS + district % STATES, np.full(n, AREAS - 1)], axis=1)
            record, variable = np.nonzero(rng.random((n, VARIABLES)) < np.linspace(0.1, 0.6, VARIABLES))
            amount = np.where(variable % 2, rng.lognormal(3, 1, len(record)), 1.0)
            rows = variable[:, None] * AREAS + areas[record]
            entries = np.repeat(amount, 3)
            writer.append(
                ColumnMatrix.from_coo(rows.ravel(), np.repeat(record, 3), entries, (len(totals), n))
            )
            totals += np.bincount(rows.ravel(), entries, len(totals))
    path = folder.with_name(f"{folder.name}_totals.csv")
    names = [f"variable {v} in area {a}" for v in range(VARIABLES) for a in range(AREAS)]
    with path.open("w", newline="") as file:
        rows_of_file = [["name", "value"], *zip(names, totals.tolist(), strict=True)]
        csv.writer(file, lineterminator="\n").writerows(rows_of_file)
    return path


def main() -> None:
    """Save to the folder that the command line names, or show what is saved."""
    if len(sys.argv) == 3:
        print("totals:", save(Path(sys.argv[1]), int(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as name:
        save(Path(name) / "national", 20_000)
        print(ColumnMatrix.open(Path(name) / "national"))


if __name__ == "__main__":
    main()

"""Draw how closely few schools represent all, and how even their weights are, to schools.png in this folder.

The README shows the picture. Needs matplotlib, which the extra `plot` installs, and polars for the files.
"""

import sys
from pathlib import Path

import l0np

FOLDER = Path(__file__).parent
SIZES = (40, 50, 65, 80, 120, 200, 400, 800)


def main(picture: Path) -> None:
    """Find an answer for each number of schools, and draw the path."""
    problem = l0np.margins(FOLDER / "apipop.csv", FOLDER / "school_totals.csv", id="cds")
    path = l0np.l0_path(problem, n_active=SIZES, seed=1)
    print(path)
    path.plot().savefig(picture, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "schools.png")

"""Draw how closely few schools represent all, and how even their weights are.

The picture is written to schools.png in the current folder; the README shows it. Needs matplotlib, which the
extra `plot` installs, and polars for the files.
"""

from pathlib import Path

import l0np

FOLDER = Path(__file__).parent
SIZES = (40, 50, 65, 80, 120, 200, 400, 800)


def main() -> None:
    """Find an answer for each number of schools, and draw the path."""
    problem = l0np.margins(FOLDER / "apipop.csv", FOLDER / "school_totals.csv", id="cds")
    path = l0np.l0_path(problem, n_active=SIZES, seed=1)
    print(path)
    path.plot().savefig("schools.png", dpi=90)


if __name__ == "__main__":
    main()

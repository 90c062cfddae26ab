"""Select 342 of California's 6,194 schools, with weights, that represent all of them.

Each school starts with weight 1. The targets are 68 totals of the whole population: the numbers of schools of
each type, in each county, and that met their growth targets or not, and the sums of four variables. The two
files are read by polars, which the extra `frames` installs; README.md in this folder describes them. The
command `l0np calibrate` does the same.
"""

from pathlib import Path

import l0np

FOLDER = Path(__file__).parent


def main() -> None:
    """Make the problem, select, and print the answer and the largest weights."""
    problem = l0np.margins(FOLDER / "apipop.csv", FOLDER / "school_totals.csv", id="cds")
    answer = l0np.calibrate(problem, n_active=342, seed=2000)
    print(problem, answer, answer.to_frame().sort("weight", descending=True).head(), sep="\n\n")


if __name__ == "__main__":
    main()

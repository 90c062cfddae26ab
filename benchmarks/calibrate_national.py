"""Calibrate at national size: select K of N records for 19,480 targets; print the answer, time and memory.

    python benchmarks/calibrate_national.py [N] [K]

With the defaults, N = 5,000,000 and K = 25,000, this took 304 s and 3.75 GB (problem included) on 2 cores of
an AMD EPYC that did other work too: all targets met, effective sample size 78 % of the selected records. The
default method, "auto", chose "thinned". Nothing is written to disk.
"""

import argparse
import resource
import time

import numpy as np
from problems import national

import l0np


def main() -> None:
    """Calibrate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", nargs="?", type=int, default=5_000_000, metavar="N")
    parser.add_argument("selected", nargs="?", type=int, default=25_000, metavar="K")
    options = parser.parse_args()
    case = national(options.records)
    matrix = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False)
    base = np.random.default_rng(2).lognormal(5, 0.5, options.records)
    start = time.perf_counter()
    answer = l0np.calibrate(matrix, case.y, options.selected, base, seed=0)
    seconds = time.perf_counter() - start
    print(answer)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{seconds:.0f} s, peak memory {gigabytes:.2f} GB")


if __name__ == "__main__":
    main()

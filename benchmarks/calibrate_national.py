"""Calibrate at national size: choose k of N records for 19,480 targets, and print the answer, seconds and peak memory.

    python benchmarks/calibrate_national.py [N] [k]

With N = 5,000,000 and k = 25,000 (the defaults), on 2 cores of an AMD EPYC: 344 s, 3.35 GB with the problem, mean error .002 %,
worst 1.8 %, effective sample size 68 % of the records ("auto" chose "balanced").
"""

import resource
import sys
import time

import numpy as np
from problems import national

import l0np

n, k = (int(argument) for argument in (sys.argv[1:] + ["5000000", "25000"][len(sys.argv) - 1 :]))
case = national(n)
matrix = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False)
base = np.random.default_rng(2).lognormal(5, 0.5, n)
start = time.perf_counter()
answer = l0np.calibrate(matrix, case.y, k, base, seed=0)
seconds = time.perf_counter() - start
print(answer)
print(f"\n{seconds:.0f} s, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")

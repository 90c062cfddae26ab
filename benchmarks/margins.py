"""Measure how long `l0np.margins` takes to make M of 10 million records, 20 columns and 200 totals.

    python benchmarks/margins.py             # 10,000,000 records
    python benchmarks/margins.py 1000000     # fewer

The goal is 20 seconds and 6 GB on 2 cores. The records are a polars frame: 8 columns of strings, 8 of
integers and 4 of amounts. Of the totals 160 are counts by level and range, 20 are crossed, 20 are sums. Each
record is in about 20 of them.
"""

import resource
import sys
import time

import numpy as np
import polars as pl

import l0np


def records(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return n records with 20 columns."""
    columns: dict[str, pl.Series] = {}
    for i in range(8):
        levels = pl.Series([f"level {j}" for j in range(10)])
        columns[f"trait{i}"] = levels.gather(pl.Series(rng.integers(0, 10, n, dtype=np.uint32)))
    for i in range(8):
        columns[f"age{i}"] = pl.Series(rng.integers(0, 100, n, dtype=np.int8))
    for i in range(4):
        columns[f"amount{i}"] = pl.Series(rng.lognormal(10, 1, n))
    return pl.DataFrame(columns)


def totals() -> pl.DataFrame:
    """Return 200 totals; their values do not matter, but counts agree."""
    rows: list[dict[str, object]] = []
    for i in range(8):
        rows += [{f"trait{i}": f"level {j}"} for j in range(10)]
        rows += [{f"age{i}": f"{10 * j}-{10 * j + 9}"} for j in range(10)]
    rows += [{"trait0": f"level {j}", "age0": span} for j in range(10) for span in ("0-49", "50+")]
    rows += [{"trait1": f"level {j}", "variable": f"amount{i}"} for i in range(2) for j in range(10)]
    values = [
        {"value": 1.0 if len(row) == 2 else 2.0, **row} for row in rows
    ]  # crossed levels: twice as many
    return pl.DataFrame(values, infer_schema_length=None)


def main() -> None:
    """Make the tables, measure, and print."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    table, wanted = records(n, np.random.default_rng(0)), totals()
    start, start_of_cpu = time.perf_counter(), time.process_time()
    problem = l0np.margins(table, wanted)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_of_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{n:,} records x {table.width} columns, {len(wanted)} totals: {problem.matrix.nnz:,} non-zeros")
    memory = f"peak of {peak:.1f} GB with the records ({table.estimated_size('gb'):.1f} GB)"
    print(f"{seconds:.1f} s ({cpu:.1f} s of all cores), {memory}")


if __name__ == "__main__":
    main()

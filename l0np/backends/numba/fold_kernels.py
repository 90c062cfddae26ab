"""Folded rows in row space: twins of `Fold.forward` and `Fold.adjoint`, with the same order of additions."""

from typing import Any, NamedTuple

import numpy as np

from l0np._jit import jit

U64 = np.uint64
LARGEST_FLOAT64 = np.finfo(np.float64).max


class Links(NamedTuple):
    """The links of a fold as kernels see them: unsigned, sorted by the level of the parent."""

    parents: Any
    children: Any


@jit
def add_children(links: Any, totals: Any) -> bool:
    """Add to each parent what its children have; return whether all sums are finite."""
    bad = 0
    for i in range(U64(links.parents.size)):
        total = totals[links.parents[i]] + totals[links.children[i]]
        totals[links.parents[i]] = total
        bad += 0 if abs(total) <= LARGEST_FLOAT64 else 1
    return bad == 0


@jit
def add_parents(links: Any, gradient: Any, out: Any) -> None:
    """Write to `out` the gradient with, added to each child, what its parents have."""
    for i in range(U64(gradient.size)):
        out[i] = gradient[i]
    n = U64(links.parents.size)
    for i in range(n):
        link = n - U64(1) - i
        out[links.children[link]] += out[links.parents[link]]

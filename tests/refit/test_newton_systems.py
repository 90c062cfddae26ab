"""Newton systems, dense and sparse: by one block, by blocks with a border, by conjugate gradients alone."""

import numpy as np
import pytest
from refit_problems import refit
from scipy import sparse

from l0np.refit.blocks import MOST_COST, Blocks
from l0np.refit.multipliers import RefitLimits
from l0np.refit.newton import NewtonSystems


@pytest.mark.parametrize("n", [5, 3200])
def test_newton_systems_dense_and_sparse(n):
    rng = np.random.default_rng(0)
    rows = sparse.random_array((n, 2 * n), density=min(1.0, 4 / n), rng=rng, format="csr")
    curvature, diagonal, right = rng.random(2 * n), 0.1 + rng.random(n), rng.normal(size=n)
    x = NewtonSystems(rows).solve(curvature, diagonal, right)
    left = rows @ (curvature * (rows.T @ x)) + diagonal * x
    assert np.linalg.norm(left - right) < 2e-4 * np.linalg.norm(right)


def test_the_compiled_product_gives_the_factor_of_scipys():
    pytest.importorskip("numba", reason="numba is not installed")
    rng = np.random.default_rng(3)
    district = rng.integers(30, size=400)
    member = (np.arange(30)[:, None] == district).astype(float)
    marks = (rng.random((6, 400)) < 0.3) * rng.lognormal(size=(6, 400))
    rows = sparse.csr_array(np.vstack([*(member * mark for mark in marks), marks]))
    curvature, diagonal = rng.random(400), np.full(rows.shape[0], 1e-3)
    curvature[7] = 0.0
    right = rng.normal(size=rows.shape[0])
    for border in (0, 64):
        plain = Blocks.bordered(rows, border).factor(curvature, diagonal)(right)
        compiled = Blocks.bordered(rows, border, 0.0, rows.T.tocsr()).factor(curvature, diagonal)(right)
        np.testing.assert_allclose(compiled, plain, rtol=1e-9)


@pytest.mark.slow  # solves a large problem three times
@pytest.mark.parametrize("most_cost", [MOST_COST, 0.0])
def test_blocks_with_a_border_and_the_diagonal_alone_give_one_answer(most_cost):
    rng = np.random.default_rng(3)
    district = rng.integers(30, size=1500)
    member = (np.arange(30)[:, None] == district).astype(float)
    marks = (rng.random((20, 1500)) < 0.3) * rng.lognormal(size=(20, 1500))
    M = np.vstack([*(member * mark for mark in marks), marks])
    reference = rng.lognormal(1, 0.3, size=1500)
    y = M @ (reference * rng.uniform(0.8, 1.2, size=1500))
    plan = Blocks.bordered(sparse.csr_array(M), 64)
    assert len(plan.bounds) > 3  # only the longest rows couple the districts
    curvature, diagonal, right = rng.random(1500), np.full(len(M), 1e-3), rng.normal(size=len(M))
    x = plan.factor(curvature, diagonal)(right)
    np.testing.assert_allclose(M @ (curvature * (M.T @ x)) + diagonal * x, right, atol=1e-8)
    found = refit(M, y, reference, limits=RefitLimits(factor_cost=most_cost))
    assert found.converged
    assert not len(found.missed)


def test_a_list_of_pairs_gives_the_product():
    rng = np.random.default_rng(1)
    A = sparse.random_array((40, 6000), density=0.15, rng=rng, format="csr")
    curvature, diagonal, right = rng.random(6000), rng.random(40), rng.normal(size=40)
    blocks = Blocks.cheapest(A)
    assert blocks.pairs is not None
    whole = (A @ sparse.diags_array(curvature) @ A.T).toarray() + np.diag(diagonal)
    found = blocks.factor(curvature, diagonal)(right)
    np.testing.assert_allclose(found, np.linalg.solve(whole, right), rtol=1e-9)


@pytest.mark.parametrize("changed", ["curvature", "diagonal"])
def test_a_factor_serves_again_only_for_its_own_system(changed):
    rng = np.random.default_rng(2)
    A = rng.normal(size=(30, 80))
    systems, right = NewtonSystems(A), rng.normal(size=30)
    given = {"curvature": rng.random(80), "diagonal": rng.random(30)}
    for _ in range(2):
        whole = A @ np.diag(given["curvature"]) @ A.T + np.diag(given["diagonal"])
        found = systems.solve(given["curvature"], given["diagonal"], right)
        np.testing.assert_allclose(whole @ found, right, atol=1e-3)
        given[changed] = 100.0 * rng.random(given[changed].shape)

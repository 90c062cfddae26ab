"""Answers name the records where the columns of M have names."""

import numpy as np
import pytest
from survey_problems import problem

import l0np


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_selected_records_by_name(library):
    module = pytest.importorskip(library)
    M, y, _ = problem()
    names = tuple(f"record {j}" for j in range(M.shape[1]))
    dense = np.asarray(M.todense()) if hasattr(M, "todense") else np.asarray(M)
    frame = module.DataFrame({name: dense[:, j] for j, name in enumerate(names)})
    path = l0np.l0_path(frame, y, n_active=[20, 40], seed=0)
    for answer in (l0np.calibrate(frame, y, 20, seed=0), *path.answers):
        assert answer.record_names == names
        assert answer.selected_names == tuple(names[j] for j in answer.indices)
    plain = l0np.calibrate(dense, y, 20, seed=0)
    assert plain.record_names is plain.selected_names is None
    assert np.array_equal(plain.weights, l0np.calibrate(frame, y, 20, seed=0).weights)

"""Eight trajectories of the original PyTorch implementation, with the same noise, by the public classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from support import DEVICES

from l0np import SparseCalibrationWeights, SparseL0Linear

CASES = json.loads((Path(__file__).parents[1] / "golden" / "trajectories.json").read_text())["trajectories"]
assert len(CASES) == 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_trajectory(case, device, dtype):
    stored = case["M"] if "M" in case else case["X"]
    M = sparse.csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=stored["shape"])
    fit = dict(case["fit"])
    if "group_multipliers" in fit:
        fit["group_multipliers"] = {int(group): number for group, number in fit["group_multipliers"].items()}
    kind = {"SparseCalibrationWeights": SparseCalibrationWeights, "SparseL0Linear": SparseL0Linear}[
        case["model"]
    ]
    model = kind(M.shape[1], seed=case["seed"], device=device, dtype=dtype, **case["constructor"])
    model.fit(M, np.array(case["y"]), epochs=case["epochs"], **fit)

    expected, absolute = case["expected"], 1e-3 if case["name"] == "mostly_closed" else 1e-4
    for name in ("log_weight", "log_alpha", "weight", "bias"):
        if expected.get(name) is not None:
            np.testing.assert_allclose(
                getattr(model, name), expected[name], rtol=0, atol=absolute, err_msg=name
            )
    np.testing.assert_allclose(model.predict(M), expected["prediction"], rtol=1e-3)
    if case["name"] != "no_gates":
        assert model.get_l0_penalty() == pytest.approx(expected["l0_penalty"], rel=1e-3)
    if kind is SparseCalibrationWeights:
        np.testing.assert_allclose(model.get_weights(deterministic=True), expected["weights"], rtol=1e-3)
        assert model.get_l2_penalty() == pytest.approx(expected["l2_penalty"], rel=1e-3)
        assert model.get_sparsity() == pytest.approx(expected["sparsity"], abs=1e-6)
        assert model.get_active_weights()["count"] == expected["count"]
    else:
        assert model.get_selected_features().tolist() == expected["selected"]
        if "bias" in expected and expected["bias"] is None:
            assert model.bias is None

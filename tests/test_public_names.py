"""The public names, and that their help reads well."""

import inspect
import pydoc

import pytest

import l0np
from l0np import SparseCalibrationWeights, SparseL0Linear

# Answers of functions, which no user makes
WITHOUT_EXAMPLE = [
    "Calibration",
    "CalibrationPath",
    "Diagnostics",
    "Holdout",
    "MarginProblem",
    "RegressionPath",
    "TargetChecks",
    "TargetTable",
]


@pytest.mark.parametrize("name", l0np.__all__)
def test_help_reads_well(name):
    """Annotations as they are written, not what they stand for."""
    thing = getattr(l0np, name)
    text = pydoc.plain(pydoc.render_doc(thing))
    own = text.partition("Method resolution order" if inspect.isclass(thing) else "\nDATA\n")[0]
    for clutter in ("numpy._typing", "numpy.ndarray[", "*<class", "Union[", "collections.abc"):
        assert clutter not in own
    if not inspect.ismodule(thing):
        assert "Examples\n" in text or name in WITHOUT_EXAMPLE


def test_public_names():
    assert l0np.__all__ == [
        "Aggregate", "Calibration", "CalibrationPath", "ColumnMatrix", "Diagnostics", "FeatureGate",
        "HardConcrete", "Holdout", "HybridGate", "L0Conv2d", "L0DepthwiseConv2d", "L0Gate", "L0Linear",
        "MarginProblem",
        "PenaltyTracker", "RegressionPath", "SampleGate", "SparseCalibrationWeights", "SparseL0Linear",
        "SparseMLP", "TargetChecks", "TargetOptions", "TargetTable", "TemperatureScheduler", "calibrate",
        "callbacks", "check_targets", "compute_l0_penalty", "compute_l0l2_penalty", "compute_l2_penalty",
        "diagnose", "errors", "evenness_bound", "get_active_parameter_count",
        "get_sparsity_stats", "holdout", "l0_path",
        "l0_regression_path", "margins", "plots", "prune_model", "schedules", "target_table",
        "update_temperatures",
    ]  # fmt: skip
    shared = (
        "fit train_on predict get_sparsity get_deterministic_gates get_l0_penalty log_alpha seed_ backend_"
    )
    shared += " state_dict load_state_dict reset"
    own = {
        SparseCalibrationWeights: "get_weights get_active_weights get_l2_penalty log_weight refit",
        SparseL0Linear: "get_coefficients get_selected_features weight bias refit",
    }
    for kind, names in own.items():
        assert all(hasattr(kind(3), name) for name in f"{shared} {names}".split())

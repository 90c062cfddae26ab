"""`resume` refuses another problem, by name, and impossible checkpoints, with one error."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from both_models import FIT, calibration
from crashes import M, Y, crash

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.callbacks import checkpoint, early_stopping, history
from l0np.errors import CheckpointError, InputError, L0npError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


def test_another_problem_is_refused_by_name(tmp_path):
    crash(calibration(), tmp_path, 25, epochs=30, **FIT)
    resume = SparseCalibrationWeights.resume
    with pytest.raises(InputError, match=r"M has the shape \(5, 40\), that of the checkpoint has \(6, 40\)"):
        resume(tmp_path, M[:5], Y[:5])
    fewer, other, elsewhere = M.copy(), M.copy(), M.copy()
    fewer.data[0] = 0
    other.data[0] += 0.5
    in_row = elsewhere.indptr[1]
    elsewhere.indices[:in_row] = np.arange(in_row)
    with pytest.raises(InputError, match=r"M is another matrix: it has 119 non-zeros.* checkpoint 120"):
        resume(tmp_path, fewer, Y)
    with pytest.raises(InputError, match="its entries have other values"):
        resume(tmp_path, other, Y)
    with pytest.raises(InputError, match="its non-zeros are not where"):
        resume(tmp_path, elsewhere, Y)
    y = np.array(Y)
    y[[2, 4]] += 1.0
    with pytest.raises(InputError, match=r"y differs .*: y\[2\] \(target 2\) is .* \(and 1 more\)"):
        resume(tmp_path, M, y)
    with pytest.raises(CheckpointError, match="is of a SparseCalibrationWeights, not of a SparseL0Linear"):
        SparseL0Linear.resume(tmp_path, M, Y)
    frame = pd.DataFrame(M.toarray(), index=list("abcdef"))
    with pytest.raises(InputError, match="y"):
        resume(tmp_path, frame, pd.Series(Y, index=list("fedcba")))
    assert resume(tmp_path, frame, pd.Series(Y, index=list("abcdef"))).epoch_ == 30


def reseal(path, change):
    """Change a checkpoint's document and make its checksum right again, as an attacker would."""
    head = json.loads((path / "checkpoint.json").read_text())
    change(head["document"])
    head["document_sha256"] = hashlib.sha256(json.dumps(head["document"]).encode()).hexdigest()
    (path / "checkpoint.json").write_text(json.dumps(head))


def set_in(*keys, value):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("settings"),
        lambda document: document["state"].pop("epoch"),
        set_in("settings", "verbose_freq", value=0),
        set_in("settings", "unknown", value=1),
        set_in("arguments", "n_features", value=10**12),
        set_in("arguments", "beta", value=-1.0),
        set_in("arguments", "zeta", value={"record": "Path", "fields": {}}),
        set_in("arguments", "zeta", value={"record": "Linear", "fields": {"start": 1.0}}),
        set_in("arguments", "zeta", value={"function": "zeta"}),
        set_in("arguments", "zeta", value=[1]),
        set_in("arguments", "zeta", value={"array": "nowhere"}),
        set_in("targets", "fields", "scale", value={"array": "state/log_alpha"}),
        set_in("targets", "fields", "weights", value=3),
        set_in("targets", "fields", "loss_class", value={"loss": "other"}),
        set_in("targets", "fields", "loss_class", value="mse"),
        set_in("targets", "fields", "names", value={"tuple": [1, 2]}),
        set_in("targets", "fields", "aggregates", value={"tuple": [{"tuple": []}]}),
        set_in("targets", value=None),
        set_in("state", "log_alpha", value={"array": "targets/value"}),
        set_in("state", "log_weight", value="x"),
        set_in("state", "epoch", value=-1),
        set_in("state", "epoch", value=1000),
        set_in("first_epoch", value="x"),
        set_in("last_epoch", value=5),
        set_in("has_ended", value="no"),
        set_in("matrix", value=None),
        set_in("matrix", "shape", value=[10**12, 40]),
        set_in("callbacks", value={"History": {"tuple": []}}),
        set_in("callbacks", value={"EarlyStopping": {"mapping": {"epoch": "x"}}}),
    ],
)
def test_impossible_checkpoints_are_refused_with_one_error(tmp_path, change):
    crash(calibration(), tmp_path, 15, epochs=30, **FIT)
    reseal(tmp_path / "checkpoint-000001", change)
    with pytest.raises(CheckpointError, match="checkpoint"):
        SparseCalibrationWeights.resume(tmp_path, M, Y, callbacks=[history(), early_stopping()])


def test_what_cannot_be_given(tmp_path):
    with pytest.raises(InputError, match=r"give every .* or seconds, not both"):
        checkpoint(tmp_path, 10, seconds=3)
    with pytest.raises(InputError, match="every must be at least 1, got 0"):
        checkpoint(tmp_path, 0)
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        SparseCalibrationWeights.resume(tmp_path, M, Y)
    assert issubclass(CheckpointError, L0npError)
    assert issubclass(CheckpointError, ValueError)

"""A run that is killed at any moment goes on from a whole checkpoint, and ends as one that never stopped."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support import same_state

from l0np import SparseCalibrationWeights
from l0np.callbacks import FitCallback, checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits

# Many columns and few entries: most of the time goes into writing. The run reports on its standard output
# each epoch whose checkpoint is written.
RUN = """
import sys
import numpy as np
from l0np import ColumnMatrix, SparseCalibrationWeights
from l0np.callbacks import FitCallback, checkpoint

N, EPOCHS = 30_000, 400
columns = ColumnMatrix(np.ones(N), np.arange(N) % 5, np.arange(N + 1), (5, N))
y = np.full(5, 1.2 * N / 5)
FIT = {"lambda_l0": 1e-3, "lr": 0.05, "loss_type": "relative", "epochs": EPOCHS}

def model():
    return SparseCalibrationWeights(N, seed=3, device="numpy", log_weight_jitter_sd=0.1)

class Written(FitCallback):
    every = 1
    after_others = True

    def __call__(self, progress):
        print(progress.epoch, flush=True)

if __name__ == "__main__":
    folder, resumes = sys.argv[1], sys.argv[2] == "resume"
    watch = [checkpoint(folder, 1), Written()]
    print("starts", flush=True)
    if resumes:
        SparseCalibrationWeights.resume(folder, columns, y, callbacks=watch)
    else:
        model().fit(columns, y, callbacks=watch, **FIT)
"""


def setting(tmp_path, epochs):
    script, text = tmp_path / "run.py", RUN.replace("EPOCHS = 400", f"EPOCHS = {epochs}")
    script.write_text(text)
    names = {"__name__": "run"}
    exec(text, names)
    return script, names


def kill(script, folder, how, chance):
    """Start a run, kill it soon after, mostly when it is writing; return the last epoch that it reported."""
    process = subprocess.Popen([sys.executable, script, folder, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "starts\n"
    lines = [process.stdout.readline()]  # the first checkpoint
    time.sleep(chance.uniform(0, 0.05))
    if chance.random() < 0.9:
        while process.poll() is None and not was_writing(folder):
            pass
        time.sleep(chance.uniform(0, 0.002))
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    return max((int(line) for line in lines if line.strip().isdigit()), default=0)


class Look(FitCallback):
    """Notes where a training starts, and stops it."""

    every = 1

    def __call__(self, progress):
        self.epoch = progress.start_epoch
        return True


def epoch_of_newest(folder, names):
    look = Look()
    SparseCalibrationWeights.resume(folder, names["columns"], names["y"], callbacks=[look])
    return look.epoch


def was_writing(folder):
    return any(path.name.startswith(".draft-") for path in folder.iterdir())


def run_and_kill(tmp_path, times, seed):
    """Kill one run again and again, each time resumed; return how often it was writing."""
    script, names = setting(tmp_path, epochs=30 * times)
    chance, folder, how, writing = random.Random(seed), tmp_path / "folder", "start", 0
    for _ in range(times):
        reported = kill(script, folder, how, chance)
        writing += was_writing(folder)
        assert epoch_of_newest(folder, names) >= reported  # nothing valid is lost
        how = "resume"
    resumed = SparseCalibrationWeights.resume(
        folder, names["columns"], names["y"], callbacks=[checkpoint(folder)]
    )
    whole = names["model"]().fit(names["columns"], names["y"], **names["FIT"])
    assert resumed.epoch_ == names["EPOCHS"]
    assert same_state(resumed.state_dict(), whole.state_dict())
    assert np.isfinite(resumed.log_weight).all()
    return writing


@pytest.mark.slow  # starts processes, and kills them
def test_a_killed_run_goes_on(tmp_path):
    run_and_kill(tmp_path, times=2, seed=0)


@pytest.mark.slow  # starts fifty processes
def test_fifty_kills_most_of_them_during_a_write(tmp_path):
    assert run_and_kill(tmp_path, times=50, seed=1) > 25

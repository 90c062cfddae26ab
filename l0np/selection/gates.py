"""Selection by gates: training with Hard Concrete gates until k of them stay open."""

from __future__ import annotations

from typing import Any

import numpy as np

from l0np.calibration import SparseCalibrationWeights
from l0np.engine import has_checkpoint
from l0np.errors import CheckpointError
from l0np.models import Changes, TrainingSettings, resume
from l0np.selection.all_records import AllRecords
from l0np.selection.selections import Selection

KEEP_PROBABILITY, TEMPERATURE = 0.9, 0.35  # initial keep probability, and temperature in training
LATER = 3  # later sizes train for a third of the epochs of the first


class GateRun:
    """Gates over all records, whose training continues from one size of a path to the next.

    Parameters
    ----------
    all_records : AllRecords
        The calibration of all records; training starts from its weights.
    """

    def __init__(self, all_records: AllRecords) -> None:
        self.all_records, self.problem = all_records, all_records.problem
        base = self.problem.base_weights
        self._model = self.problem.model(
            np.maximum(all_records.weights, 0.0),
            beta=TEMPERATURE,
            init_keep_prob=np.where(base > 0, KEEP_PROBABILITY, 0.0),
        )
        self._epochs = self.problem.training.epochs

    def select(self, k: int) -> Selection:
        """Train until k gates stay open, with a controlled L0 multiplier, and refit their records."""
        if not self._resumed(k):
            self._train(n_active=k)
        records = np.flatnonzero(self.problem.of_all(self._model.get_weights(deterministic=True)))
        inclusion = self.all_records.inclusion(k)
        return self.all_records.select(records, inclusion, "gates", self._model.lambda_l0_)

    def select_at(self, lambda_l0: float) -> Selection:
        """Train at a given L0 multiplier, and refit the active records; if none is, the likeliest one."""
        self._train(lambda_l0=lambda_l0)
        is_eligible = self.problem.base_weights > 0
        weights = self.problem.of_all(self._model.get_weights(deterministic=True))
        records = np.flatnonzero((weights != 0) & is_eligible)
        if not records.size:
            log_alpha = self.problem.of_all(self._model.log_alpha)
            records = np.array([int(np.argmax(np.where(is_eligible, log_alpha, -np.inf)))])
        inclusion = self.all_records.inclusion(len(records))
        return self.all_records.select(records, inclusion, "gates", lambda_l0)

    def _resumed(self, k: int) -> bool:
        """Go on from a checkpoint, if a callback of `checkpoint` says so and there is one of these gates."""
        problem, stages = self.problem, self.problem.stages
        folders = (getattr(one, "resumes_from", None) for one in stages.callbacks)
        folder = next((one for one in folders if one is not None), None)
        if stages.stopped or self._model.epoch_ or folder is None or not has_checkpoint(folder):
            return False
        given = problem.training_matrix, problem.training_targets.value
        changes, ranks = Changes(callbacks=stages.callbacks), problem.ranks
        kind = SparseCalibrationWeights
        model = resume(kind, "M", folder, given, changes, communicator=ranks, judged=False)
        if not model.use_gates:  # the run was interrupted before, while all records were calibrated
            return False
        n_selected = np.count_nonzero(problem.of_all(model.get_weights(deterministic=True)))
        if n_selected != k or model.seed_ != problem.seed:
            found = f"of {n_selected} records with seed {model.seed_}, not of {k} with seed {problem.seed}"
            raise CheckpointError(f"the checkpoint in {str(folder)!r} is {found}")
        self._model = model
        return True

    def _train(self, **size: Any) -> None:
        problem, stages = self.problem, self.problem.stages
        epochs, callbacks = (1, ()) if stages.stopped else (self._epochs, stages.callbacks)
        end = self._model.epoch_ + epochs
        settings = TrainingSettings.checked(
            **size, lr=problem.training.lr, epochs=epochs, callbacks=callbacks
        )
        matrix, targets = problem.training_matrix, problem.training_targets
        self._model.train_on(matrix, targets, settings, communicator=problem.ranks)
        stages.stopped |= self._model.epoch_ < end
        self._epochs = max(self.problem.training.epochs // LATER, 1)

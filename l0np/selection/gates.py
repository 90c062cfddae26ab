"""Selection by gates: training with Hard Concrete gates until k of them stay open."""

from __future__ import annotations

from typing import Any

import numpy as np

from l0np.models import TrainingSettings
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

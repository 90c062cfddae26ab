"""Three ways to select the features of a regression of each size.

Ranking by inclusion probability is the default because it performs best: on the designs of
benchmarks/regression.py the mean F1 of the support is 0.78, against 0.68 of exchanged subsets and 0.65 of
trained gates, both with the size of the extended BIC; the risk relative to the null model is 0.15, against
0.22 and 0.23. With little noise exchanged subsets do as well. Trained gates take 4 to 20 times as long as the
default.

To add a method, write a function from a `Task` and sizes to `Supports` and enter it in `METHODS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from l0np.backends import get_backend, uses_compiled_kernels
from l0np.callbacks import Stages
from l0np.models import TrainingSettings
from l0np.refit import Design
from l0np.regression.gram import DEFAULT_LIMITS, GramLimits, Products
from l0np.regression.spike_slab import expected_f1, sample
from l0np.regression.standardised import standardised
from l0np.regression.subset_search import Subsets
from l0np.sparse import SparseL0Linear

MOST_COLUMNS, MOST_ROUNDS = 2000, 5  # if there are more columns, methods see only those that may matter
MOST_FEATURES = 100  # largest size of a model, if the user names no sizes
FIRST_EPOCHS, NEXT_EPOCHS, LEARNING_RATE = 1000, 200, 0.05  # for gates, which train the largest size first


@dataclass(frozen=True)
class Supports:
    """The answer of a method: the features of each size, and what it knows beyond them."""

    features: dict[int, NDArray[np.int64]]
    inclusion: NDArray[np.float64] | None = None
    fitted: NDArray[np.float64] | None = None  # expectation of the response without noise, for each row
    expected_f1: NDArray[np.float64] | None = None  # by size, from 0
    lambda_l0: dict[int, float] | None = None


@dataclass(frozen=True)
class Task:
    """Standardised features and the response, with what all methods need of them."""

    design: Design
    y: NDArray[np.float64]
    seed: int
    device: str
    candidates: int  # number of columns before screening
    stages: Stages = field(default_factory=Stages)
    limits: GramLimits = DEFAULT_LIMITS

    @property
    def response(self) -> NDArray[np.float64]:
        """The response, centred if there is an intercept."""
        return self.y - self.design.mean(self.y) if self.design.intercept else self.y

    def products(self) -> Products:
        """Return the inner products of the features and the response."""
        return Products.of(self.design, self.y, self.limits)

    @property
    def largest(self) -> int:
        """The largest number of features that the data can distinguish."""
        degrees = self.design.count - self.design.intercept
        return max(min(int(np.count_nonzero(self.design.usable)), int(degrees - 1)), 0)

    def usual_sizes(self, at_least: int = 0) -> NDArray[np.int64]:
        """Return 0, 1, ... up to 100 or n / (log p log log n).

        Up to that size splicing is consistent (Zhu et al., PNAS 117, 2020).
        """
        n, p = max(self.design.count, 16), max(self.candidates, 3)
        consistent = round(n / (math.log(p) * math.log(math.log(n))))
        most = max(min(consistent, MOST_FEATURES), at_least, 1)
        return np.arange(min(most, self.largest) + 1)


def by_inclusion(task: Task, sizes: NDArray[np.int64] | None) -> Supports:
    """Rank features by the posterior probability that they belong in the model (see `spike_slab`)."""
    get_backend(task.device)  # raises if this machine has no such device
    products, compiled = task.products(), uses_compiled_kernels(task.device)
    task.stages.begin("inclusion probabilities")
    posterior = sample(
        products, task.seed, compiled=compiled, candidates=task.candidates, report=task.stages.report
    )
    f1 = expected_f1(posterior.inclusion, posterior.empty)
    ranked = np.lexsort((-np.abs(products.response), -posterior.inclusion))
    if sizes is None:
        sizes = task.usual_sizes(at_least=int(np.argmax(f1)))
    fitted = task.y - task.response + task.design.products(posterior.mean)
    return Supports({int(k): np.sort(ranked[:k]) for k in sizes}, posterior.inclusion, fitted, f1)


def by_exchange(task: Task, sizes: NDArray[np.int64] | None) -> Supports:
    """Find the subset of each size that no exchange of two features improves (see `subset_search`)."""
    sizes = task.usual_sizes() if sizes is None else sizes
    task.stages.begin("exchanges")
    found = Subsets(task.products()).path(sizes, task.stages.report)
    if task.stages.stopped:
        return Supports(found)
    # If there are too few independent features, any others will do
    spare = np.argsort(~task.design.usable, kind="stable")
    for k in (int(k) for k in sizes if k not in found):
        most = max(found.values(), key=len, default=np.zeros(0, np.int64))
        found[k] = np.sort(np.concatenate((most, spare[~np.isin(spare, most)][: k - len(most)])))
    return Supports(found)


def by_gates(task: Task, sizes: NDArray[np.int64] | None) -> Supports:
    """Train gates on standardised features, from the largest size to the smallest, each warm-started."""
    sizes = task.usual_sizes() if sizes is None else sizes
    matrix, targets, _ = standardised(task.design, task.response)
    model = SparseL0Linear(task.design.p, fit_intercept=False, seed=task.seed, device=task.device)
    features, multipliers = {0: np.zeros(0, np.int64)}, {0: math.nan}
    for k in task.stages.each([int(k) for k in sizes[::-1] if k]):
        epochs = NEXT_EPOCHS if model.epoch_ else FIRST_EPOCHS
        settings = TrainingSettings.checked(n_active=k, lr=LEARNING_RATE, epochs=epochs)
        trained = model.epoch_ + epochs
        model.train_on(matrix, targets, replace(settings, callbacks=task.stages.callbacks))
        task.stages.stopped |= model.epoch_ < trained
        features[k], multipliers[k] = model.get_selected_features(), float(model.lambda_l0_ or 0.0)
    return Supports({int(k): features[int(k)] for k in sizes if int(k) in features}, lambda_l0=multipliers)


@dataclass(frozen=True)
class Method:
    """An entry of the table of methods.

    Attributes
    ----------
    find : callable
        Maps a task and the sizes wanted (None for sizes that suit the data) to the supports.
    posterior : bool
        Whether it also finds inclusion probabilities, the expected F1 measure and the expected response,
        which ``criterion="f1"`` and ``coefficients="posterior"`` need.
    """

    find: Callable[[Task, NDArray[np.int64] | None], Supports]
    posterior: bool = False


METHODS: dict[str, Method] = {
    "inclusion": Method(by_inclusion, posterior=True),
    "exchange": Method(by_exchange),
    "gates": Method(by_gates),
}


def select(
    method: Method, task: Task, sizes: NDArray[np.int64] | None, most_columns: int = MOST_COLUMNS
) -> Supports:
    """Select features by a method; if there are more than `most_columns`, among those that may matter.

    These are the columns most correlated with the response and then, as long as that changes the largest
    model, those found so far and the columns most correlated with the residual of that model (iterated sure
    independence screening: J. Fan, J. Lv, JRSS B 70, 2008).
    """
    p, most = task.design.p, max(most_columns, 2 * int(sizes.max(initial=0)) if sizes is not None else 0)
    if p <= most:
        return method.find(task, sizes)
    candidates, known = _largest(task.design.correlations(task.response), most), np.zeros(0, np.int64)
    for _ in range(MOST_ROUNDS):
        seen = candidates
        supports = method.find(replace(task, design=task.design.take(seen)), sizes)
        features = {k: seen[columns] for k, columns in supports.features.items()}
        largest = features[max(features)]
        if np.array_equal(largest, known) or task.stages.stopped:
            break
        known = largest
        left = task.y - task.design.predictions(largest, task.design.solve(task.y, largest))
        correlations = task.design.correlations(left)
        found = np.unique(np.concatenate(list(features.values())))
        correlations[found] = np.inf
        candidates = _largest(correlations, len(found) + most // 2)
    inclusion = supports.inclusion
    if inclusion is not None:
        inclusion = np.zeros(p)
        inclusion[seen] = supports.inclusion
    return replace(supports, features=features, inclusion=inclusion)


def _largest(correlations: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """Return the columns with the largest correlations, ascending; among equal ones the first."""
    return np.sort(np.argsort(-np.abs(correlations), kind="stable")[:number])

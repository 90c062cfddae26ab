"""Select samples and features with gates alone, in loops of one's own with gradients by hand.

First 100 of 1,000 persons are selected so that weighted means stay what they were, then 3 of 20 features.
"""

import numpy as np

from l0np.gates import FeatureGate, HybridGate, SampleGate
from l0np.layers import Adam

EPOCHS = 1000


def select_samples(rng: np.random.Generator) -> None:
    """Select persons whose weighted means of four variables are those of all persons."""
    people = rng.normal(size=(1000, 4)) + 0.5 * rng.normal(size=(1000, 1))
    weights = rng.uniform(1, 3, size=1000)
    means = weights @ people / weights.sum()
    gate = SampleGate(n_samples=1000, target_samples=100, seed=0, dtype="float64")
    adam = Adam(gate, lr=0.05)
    for _ in range(EPOCHS):
        adam.zero_grad()
        gated = weights * gate.get_gates(sample=True)
        distance = (gated @ people) / gated.sum() - means
        by_gated = 2 * (people - means - distance) @ distance / gated.sum()
        gate.gates.backward(by_gated * weights)
        excess = gate.get_penalty() - gate.target_samples
        gate.gates.penalty_backward(2e-6 * excess)  # of 1e-6 * excess ** 2
        adam.step()

    _, kept, chosen = gate.select_weighted_samples(people, weights, rescale=True)
    print(f"Selected {len(chosen)} of 1000 persons with a total weight of {kept.sum() / weights.sum():.0%}")
    print(f"Worst difference of a mean: {abs(kept @ people[chosen] / kept.sum() - means).max():.3f}")
    drawn = rng.choice(1000, 100, replace=False)
    difference = weights[drawn] @ people[drawn] / weights[drawn].sum() - means
    print(f"The same for 100 persons drawn at random: {abs(difference).max():.3f}")
    hybrid = HybridGate(1000, l0_fraction=0.25, random_fraction=0.75, target_items=100, seed=0)
    hybrid.l0_gate.gates.log_alpha = gate.gates.log_alpha
    _, _, kinds = hybrid.select(people)
    print(f"By gates {(kinds == 'l0').sum()}, at random {(kinds == 'random').sum()}")


def select_features(rng: np.random.Generator) -> None:
    """Select the features on which a response depends: the first three of twenty."""
    X = rng.normal(size=(300, 20))
    y = X[:, :3] @ np.array([2.0, -1.0, 1.5]) + 0.3 * rng.normal(size=300)
    gate = FeatureGate(n_features=20, max_features=3, temperature=0.5, seed=0, dtype="float64")
    gate.gates.log_alpha[:] = 0.0  # all features have the same chance at first
    adam = Adam(gate, lr=0.05)
    coefficients = np.linalg.lstsq(X, y)[0]
    for _ in range(EPOCHS):
        adam.zero_grad()
        residual = X @ (coefficients * gate.get_gates(sample=True)) - y
        gate.gates.backward(2 * coefficients * (X.T @ residual) / len(y))
        gate.gates.penalty_backward(0.1)
        adam.step()

    _, names = gate.select_features_with_names(X, [f"x{i + 1}" for i in range(20)])
    print(f"Selected features: {', '.join(names)}")
    print(f"Probabilities of being open: {gate.get_feature_importance()[:5].round(2)} ...")


if __name__ == "__main__":
    select_samples(np.random.default_rng(0))
    select_features(np.random.default_rng(1))

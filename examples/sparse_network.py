"""Train a sparse network on handwritten digits in a loop of one's own, and prune it.

The loss is the cross entropy of the digits plus a penalty on gates and weights. The data are scikit-learn's
1,797 images of 8 x 8 pixels; a quarter of them is kept for testing.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from l0np.layers import Adam, SparseMLP, prune_model
from l0np.penalties import (
    PenaltyTracker,
    TemperatureScheduler,
    compute_l0l2_penalty,
    get_active_parameter_count,
    get_sparsity_stats,
    update_temperatures,
)
from l0np.schedules import Cosine

EPOCHS, BATCH = 80, 64
L0_LAMBDA, L2_LAMBDA = 1.5e-4, 1e-5


def cross_entropy(scores: np.ndarray, digits: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of -log(softmax(scores)[digit]), and its derivative by the scores."""
    rows = np.arange(len(digits))
    likelihoods = np.exp(scores - scores.max(axis=1, keepdims=True))
    likelihoods /= likelihoods.sum(axis=1, keepdims=True)
    loss = -np.log(likelihoods[rows, digits] + 1e-12).mean()
    likelihoods[rows, digits] -= 1.0
    return float(loss), likelihoods / len(digits)


def accuracy(network: SparseMLP, images: np.ndarray, digits: np.ndarray) -> float:
    """Return the fraction of the images that are recognised at test time."""
    network.eval()
    found = float((network(images).argmax(axis=1) == digits).mean())
    network.train()
    return found


def main() -> None:
    """Train, prune, and print the accuracy before and after pruning, and what is left."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    images, test_images, digits, test_digits = train_test_split(
        images, digits, test_size=0.25, random_state=0, stratify=digits
    )
    network = SparseMLP(input_dim=64, hidden_dim=128, output_dim=10, init_sparsity=0.3, seed=0)
    n_weights = sum(stats["total_params"] for stats in get_sparsity_stats(network).values())
    adam, tracker, rng = Adam(network, lr=0.004, lr_gates=0.04), PenaltyTracker(), np.random.default_rng(0)
    rate, temperature = Cosine(0.004, 0.0002, EPOCHS), TemperatureScheduler(0.7, 0.3, EPOCHS)

    for epoch in range(EPOCHS):
        update_temperatures(network, temperature(epoch))
        adam.lr = rate(epoch)
        for batch in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            adam.zero_grad()
            loss, by_scores = cross_entropy(network(images[batch]), digits[batch])
            network.backward(by_scores.astype(np.float32))
            penalty = compute_l0l2_penalty(network, L0_LAMBDA, L2_LAMBDA, upstream=1.0)
            adam.step()
        tracker.log("loss", loss)
        tracker.log("penalty", penalty)
        if epoch % 20 == 19:
            tracker.log("active", get_active_parameter_count(network))
            print(f"Epoch {epoch + 1}: loss {loss:.3f}, penalty {penalty:.3f}, ", end="")
            print(f"{tracker.get_history('active')[-1]:,.0f} of {n_weights:,} weights active")

    before = accuracy(network, test_images, test_digits)
    prune_model(network, threshold=0.5)
    after = accuracy(network, test_images, test_digits)
    left = get_active_parameter_count(network)
    print(f"Test accuracy before pruning: {before:.1%}")
    print(f"Test accuracy after pruning:  {after:.1%}")
    print(f"Weights pruned: {1 - left / n_weights:.1%} of {n_weights:,}")
    print(f"Hidden units left: {network.fc1.out_features} and {network.fc2.out_features} of 128")


if __name__ == "__main__":
    main()

"""Put the gates of l0np into a PyTorch model: an autograd function of them, and what it takes to train.

l0np does not need PyTorch. Without it, this example says so and ends.
"""

try:
    import torch
except ImportError:
    torch = None

from l0np.gates import HardConcrete

if torch is not None:

    class GatesOf(torch.autograd.Function):
        """Gates, or their penalty, as a function of log_alpha; l0np computes value and derivative."""

        @staticmethod
        def forward(context, log_alpha, gates, compute):
            """Return what `compute` returns of the gates, with log_alpha as their locations."""
            gates.log_alpha = log_alpha.detach()
            value = compute(gates)
            ones = torch.ones_like(log_alpha)
            gates.backward(ones)  # the gradient by log_alpha is the derivative of each gate by its own
            context.save_for_backward(gates.grad_log_alpha)
            return torch.as_tensor(value)

        @staticmethod
        def backward(context, upstream):
            """Return the derivative of the loss by log_alpha."""
            (slope,) = context.saved_tensors
            return upstream * slope, None, None

    class GatedLinear(torch.nn.Linear):
        """A linear layer of PyTorch with a gate for each weight."""

        def __init__(self, n_inputs, n_outputs):
            super().__init__(n_inputs, n_outputs)
            self.gates = HardConcrete((n_outputs, n_inputs), seed=0)
            self.log_alpha = torch.nn.Parameter(torch.as_tensor(self.gates.log_alpha.copy()))

        def forward(self, x):
            """Return the outputs: gates are drawn in training, and at test-time values after `eval`."""
            self.gates.train(self.training)
            z = GatesOf.apply(self.log_alpha, self.gates, lambda gates: gates())
            return torch.nn.functional.linear(x, self.weight * z, self.bias)

        def penalty(self):
            """Return the expected number of open gates."""
            return GatesOf.apply(self.log_alpha, self.gates, lambda gates: gates.penalty())


def main():
    """Find the two of ten inputs that matter."""
    if torch is None:
        print("PyTorch is not installed: nothing to show")
        return
    torch.manual_seed(0)
    X = torch.randn(500, 10)
    y = 2 * X[:, [1]] - X[:, [4]] + 0.1 * torch.randn(500, 1)
    layer = GatedLinear(10, 1)
    adam = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(1000):
        adam.zero_grad()
        loss = ((layer(X) - y) ** 2).mean() + 0.02 * layer.penalty()
        loss.backward()
        adam.step()
    layer.eval()
    print(f"Inputs with open gates: {layer.gates.deterministic()[0].nonzero().flatten().tolist()}")
    print(f"Mean squared error: {((layer(X) - y) ** 2).mean():.3f}")


if __name__ == "__main__":
    main()

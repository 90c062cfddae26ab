"""Layers whose weights have Hard Concrete gates, a small network of them, and pruning.

Each layer has `forward` and `backward` beside each other, by hand. `backward` takes the derivative of a loss
by the layer's output, adds to the gradients of weights, biases and gates, and returns the derivative by the
layer's input. `Adam` moves the parameters; the loop over epochs is the user's own.
"""

from l0np.layers.adam import Adam
from l0np.layers.conv2d import L0Conv2d
from l0np.layers.depthwise import L0DepthwiseConv2d
from l0np.layers.linear import L0Linear
from l0np.layers.mlp import SparseMLP
from l0np.layers.pruning import prune_model

__all__ = ["Adam", "L0Conv2d", "L0DepthwiseConv2d", "L0Linear", "SparseMLP", "prune_model"]

"""The patches of images that a convolution sees, for each position of its kernel, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from l0np.inputs import validation


def two_integers(name: str, value: Any, *, at_least: int) -> tuple[int, int]:
    """Return the two integers that one integer, or a pair of them, stands for: of height and of width."""
    if isinstance(value, tuple | list):
        height, width = validation.pair(name, value, "an integer or two")
    else:
        height = width = value
    return (
        validation.integer(name, height, at_least=at_least),
        validation.integer(name, width, at_least=at_least),
    )


@dataclass(frozen=True)
class Window:
    """Kernel size, stride and padding of a convolution, each for height and width; xp is the namespace."""

    xp: Any
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the output.

        Raises
        ------
        InputError
            If the kernel is larger than the padded image.
        """
        sizes = []
        sides = zip((height, width), self.kernel, self.stride, self.padding, strict=True)
        for name, (n, kernel, stride, padding) in zip(("height", "width"), sides, strict=True):
            padded = validation.integer(f"{name} of x with padding", n + 2 * padding, at_least=kernel)
            sizes.append((padded - kernel) // stride + 1)
        return sizes[0], sizes[1]

    def patches(self, x: Any) -> Any:
        """Return what each position of the kernel sees of images of shape (batch, channels, height, width).

        Each position sees a strided view of the images. The views are stacked to the shape (batch, channels,
        positions, output height, output width), with which the convolution is one product of matrices.
        """
        padded = self._padded(x)
        views = [padded[:, :, rows, columns] for rows, columns in self._slices(*x.shape[2:])]
        return self.xp.stack(views, axis=2)

    def patches_backward(self, upstream: Any, shape: tuple[int, ...]) -> Any:
        """Return the derivative by images of `shape`, from that by their patches: a sum over patches."""
        batch, channels, height, width = shape
        tall, wide = height + 2 * self.padding[0], width + 2 * self.padding[1]
        total = self.xp.zeros((batch, channels, tall, wide), dtype=upstream.dtype)
        for position, (rows, columns) in enumerate(self._slices(height, width)):
            total[:, :, rows, columns] += upstream[:, :, position, :, :]
        top, left = self.padding
        return total[:, :, top : top + height, left : left + width]

    def _slices(self, height: int, width: int) -> list[tuple[slice, slice]]:
        """Return rows and columns of the padded images that each position of the kernel sees."""
        tall, wide = self.output_size(height, width)
        down, right = self.stride
        return [
            (slice(i, i + down * (tall - 1) + 1, down), slice(j, j + right * (wide - 1) + 1, right))
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]

    def _padded(self, x: Any) -> Any:
        if self.padding == (0, 0):
            return x
        batch, channels, height, width = x.shape
        top, left = self.padding
        padded = self.xp.zeros((batch, channels, height + 2 * top, width + 2 * left), dtype=x.dtype)
        padded[:, :, top : top + height, left : left + width] = x
        return padded

"""How ranks that hold different columns add up their predictions: one sum of Q numbers in each epoch."""

from typing import Any, Protocol


class Communicator(Protocol):
    """What the training loop needs of a group of ranks."""

    rank: int
    size: int

    def allreduce(self, array: Any) -> Any:
        """Return the sum of `array` over all ranks, on every rank."""

    def allgather(self, array: Any) -> Any:
        """Return the arrays of all ranks, joined in the order of ranks, on every rank."""


class Serial:
    """One rank that holds all columns."""

    rank = 0
    size = 1

    def allreduce(self, array: Any) -> Any:
        """Return `array` itself."""
        return array

    def allgather(self, array: Any) -> Any:
        """Return `array` itself."""
        return array

"""How ranks that hold different columns add up their predictions: one sum of about Q numbers in each epoch.

Every call is made by all ranks, in the same order, with arrays of the same shape (`allreduce`) and dtype.
"""

from typing import Any, Protocol


class Communicator(Protocol):
    """What the training loop needs of a group of ranks."""

    rank: int
    size: int
    reproducible: bool  # whether what is trained must be the same for any number of ranks (`exact_sums`)

    def allreduce(self, array: Any) -> Any:
        """Return the sum of `array` over all ranks, on every rank; the next call may overwrite it."""

    def allgather(self, array: Any) -> Any:
        """Return the arrays of all ranks, joined in the order of ranks, on every rank."""


class Serial:
    """One rank that holds all columns.

    Parameters
    ----------
    reproducible : bool
        Whether to train what several ranks would, to the last bit.
    """

    rank = 0
    size = 1

    def __init__(self, reproducible: bool = False) -> None:
        self.reproducible = reproducible

    def allreduce(self, array: Any) -> Any:
        """Return `array` itself."""
        return array

    def allgather(self, array: Any) -> Any:
        """Return `array` itself."""
        return array

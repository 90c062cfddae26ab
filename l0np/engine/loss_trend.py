"""Whether the loss still falls at the end of a training."""

from __future__ import annotations

import numpy as np

SHORTEST = 100  # epochs from which on a trend can be seen
LOOKS = 10  # in each of the last two tenths of the epochs
STEADY = 0.5  # a learning rate that falls below this fraction within the last fifth of the epochs is falling


class LossTrend:
    """The loss of the data at twenty epochs in the last fifth of a training.

    With gates the loss of one epoch depends on their draws, so medians are compared. Where the learning rate
    falls in these epochs, so does the loss, because the noise vanishes with it: nothing is concluded then.

    Parameters
    ----------
    first_epoch : int
        Epochs trained before.
    n_epochs : int
        Epochs to train. There is no trend for fewer than 100.

    Examples
    --------
    >>> trend = LossTrend(0, 1000)
    >>> for epoch in trend.epochs:
    ...     trend.note(epoch, 2.0 if epoch <= 900 else 1.5, learning_rate=0.1)
    >>> trend.epochs[0], trend.epochs[-1], trend.fall
    (810, 1000, 0.25)
    """

    def __init__(self, first_epoch: int, n_epochs: int) -> None:
        hundredths = range(100 - 2 * LOOKS + 1, 101) if n_epochs >= SHORTEST else ()
        self.epochs = tuple(first_epoch + n_epochs * hundredth // 100 for hundredth in hundredths)
        self._seen: dict[int, tuple[float, float]] = {}

    def next_after(self, epoch: int) -> int | None:
        """Return the next epoch whose loss is wanted; None if there is none."""
        return next((wanted for wanted in self.epochs if wanted > epoch), None)

    def note(self, epoch: int, loss: float, learning_rate: float) -> None:
        """Keep the loss after an epoch and the learning rate in it, if they are wanted."""
        if epoch in self.epochs:
            self._seen[epoch] = loss, learning_rate

    @property
    def last(self) -> float | None:
        """The median loss in the last tenth of the epochs; None if there is no trend."""
        return (
            None if self.fall is None else float(np.median([self._seen[e][0] for e in self.epochs[LOOKS:]]))
        )

    @property
    def fall(self) -> float | None:
        """By which fraction the median loss fell from the last tenth but one to the last.

        None if the training was too short or stopped before its end, or if the learning rate falls.
        """
        if not self.epochs or len(self._seen) < len(self.epochs):
            return None
        losses, rates = zip(*(self._seen[epoch] for epoch in self.epochs), strict=True)
        if rates[-1] < STEADY * rates[0]:
            return None
        before, last = float(np.median(losses[:LOOKS])), float(np.median(losses[LOOKS:]))
        return 1.0 - last / before if before > 0.0 else 0.0

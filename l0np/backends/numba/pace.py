"""How many threads train the next epoch, judged by how long the last ones took."""

PATIENCE, MOST_PATIENCE = 20, 320  # a trial of the slower way may cost a twentieth of the time, later less


class Pace:
    """How many threads to use for the next epoch: all or one, whichever was faster of late.

    On a busy machine an epoch on all threads waits for the one that is not scheduled, many times the epoch's
    own length; results do not depend on the choice. What was slower is tried again when a trial costs little
    beside the time since, and after each trial in vain less often.

    Parameters
    ----------
    n_threads : int
        All threads.
    serial_seconds : float
        What one thread is believed to need until it is tried. All threads come first, and their first epoch,
        which may have compiled the kernel, is not counted.

    Examples
    --------
    >>> pace = Pace(n_threads=4, serial_seconds=1.0)
    >>> pace.threads()
    4
    >>> for seconds in (9.0, 3.0, 3.0):  # compiled, then slower than one thread is believed to be
    ...     pace.note(4, seconds)
    >>> pace.threads()
    1
    """

    def __init__(self, n_threads: int, serial_seconds: float) -> None:
        self._seconds = {1: serial_seconds, n_threads: 0.0}
        self._measured: set[int] = set()
        self._since, self._patience = 0.0, PATIENCE

    def threads(self) -> int:
        """Return the number of threads for the next epoch."""
        slow = max(self._seconds, key=self._seconds.__getitem__)
        if self._since > self._patience * self._seconds[slow]:
            self._since, self._patience = 0.0, min(2 * self._patience, MOST_PATIENCE)
            return slow
        return self._faster()

    def note(self, threads: int, seconds: float) -> None:
        """Take note of how long an epoch on so many threads took."""
        if threads in self._measured:
            before = self._faster()
            # one good epoch counts, one bad one may be chance
            self._seconds[threads] = min(seconds, 0.5 * (self._seconds[threads] + seconds))
            self._since += seconds
            if self._faster() != before:
                self._patience = PATIENCE
        self._measured.add(threads)

    def _faster(self) -> int:
        return min(self._seconds, key=self._seconds.__getitem__)

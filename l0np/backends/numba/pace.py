"""How many threads train the next epoch, judged by how long the last ones took."""

# A trial of the slower way may cost a twentieth of the time, less after each unsuccessful trial
PATIENCE, MOST_PATIENCE = 20, 320


class Pace:
    """How many threads to use for the next epoch: all or one, whichever was faster recently.

    On a busy machine an epoch on all threads may wait for a thread that is not scheduled, many times the
    epoch's own length. Results do not depend on the choice. The slower way is tried again when a trial costs
    little compared with the time since the last one, and less often after each unsuccessful trial.

    Parameters
    ----------
    n_threads : int
        Number of threads when all are used.
    serial_seconds : float
        Estimated time on one thread, used until it is tried. All threads are tried first, and their first
        epoch, which may have compiled the kernel, is not counted.

    Examples
    --------
    >>> pace = Pace(n_threads=4, serial_seconds=1.0)
    >>> pace.threads()
    4
    >>> for seconds in (9.0, 3.0, 3.0):  # compiled, then slower than the estimate for one thread
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
            # One fast epoch counts at once, one slow epoch may be chance
            self._seconds[threads] = min(seconds, 0.5 * (self._seconds[threads] + seconds))
            self._since += seconds
            if self._faster() != before:
                self._patience = PATIENCE
        self._measured.add(threads)

    def _faster(self) -> int:
        return min(self._seconds, key=self._seconds.__getitem__)

"""Ranks as threads of one process, for tests of what ranks compute; `tests/mpi` runs real ones."""

import functools
import gc
import threading
from contextlib import nullcontext

import numpy as np


class ThreadRanks:
    """The communicator of one of several threads; each call waits for all of them."""

    reproducible = True

    def __init__(self, rank, size, shared):
        self.rank, self.size, self._shared = rank, size, shared

    def _all(self, array):
        arrays, barrier = self._shared
        arrays[self.rank] = np.array(array)
        barrier.wait(timeout=60)
        found = [np.array(arrays[rank]) for rank in range(self.size)]
        barrier.wait(timeout=60)
        return found

    def allreduce(self, array):
        return sum(self._all(array))

    def allgather(self, array):
        return np.concatenate(self._all(array))


def drop_locks_of_cached_properties():
    """Until Python 3.12 each has one for all instances, at which ranks in one process would wait for ever."""
    for one in gc.get_objects():
        if type(one) is functools.cached_property and hasattr(one, "lock"):
            one.lock = nullcontext()


def on_ranks(n, work):
    """Return what ``work(communicator)`` returns on each of n ranks; raise what the first of them raised."""
    drop_locks_of_cached_properties()
    shared, found, errors = ([None] * n, threading.Barrier(n)), [None] * n, [None] * n

    def run(rank):
        try:
            found[rank] = work(ThreadRanks(rank, n, shared))
        except Exception as error:
            errors[rank] = error
            if not isinstance(error, threading.BrokenBarrierError):
                shared[1].abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    raised = [error for error in errors if error is not None]
    for error in raised:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    if raised:
        raise raised[0]
    return found

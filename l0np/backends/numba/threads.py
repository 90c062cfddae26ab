"""Threads that run a compiled function side by side, each without the interpreter's lock.

They are Python's own. Numba's `prange` would compile the epoch a second time, its layers of threads abort the
process or hang where two threads train at once or a process forks, and on a busy machine its loops wait.
"""

import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

import numba
import numba.np.ufunc.parallel


def usable_threads() -> int:
    """Return how many threads the user of Numba allows.

    It is `numba.get_num_threads`, but starts no layer of Numba's threads only to ask it.
    """
    if getattr(numba.np.ufunc.parallel, "_is_initialized", True):
        return int(numba.get_num_threads())
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


class Call:
    """A call that another thread is asked for; it runs unless the one who asked no longer needs it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function: Callable[[], Any] | None = function
        self._decided_by: dict[str, str] = {}  # setdefault is atomic, and may be repeated
        self._has_ended, self._end = False, threading.Lock()
        self._end.acquire()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run, unless the call was withdrawn; what it raises is kept for the one who waits."""
        function = self._function
        if function is None or self._decided_by.setdefault("who", "helper") != "helper":
            return
        try:
            function()
        except BaseException as raised:
            self._error = raised
        self._function, self._has_ended = None, True
        self._end.release()

    def withdraw_or_wait(self) -> BaseException | None:
        """Withdraw the call if it has not begun, else wait for its end; return what was raised meanwhile.

        Nothing interrupts the wait: the arrays that the call writes must be neither used nor freed before it
        has ended. What a signal handler raises is returned.
        """
        interruption: BaseException | None = None
        while True:
            try:
                if self._decided_by.setdefault("who", "caller") == "caller":
                    self._function = None
                    return interruption
                if self._has_ended:
                    return self._error or interruption
                self._end.acquire()
            except BaseException as raised:
                interruption = raised


class Helper:
    """A thread that runs the calls it is given, one after the other. It ends with the process."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call] = SimpleQueue()
        threading.Thread(target=self._serve, name="l0np", daemon=True).start()

    def begin(self, call: Call) -> None:
        """Run the call as soon as the system lets this thread run."""
        self._calls.put(call)

    def _serve(self) -> None:
        while True:
            self._calls.get().run()


_idle: list[Helper] = []  # shared by all models; a list's append and pop are atomic
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked child has none of its parent's threads


def run_on_threads(n_threads: int, function: Callable[..., Any], *arguments: Any) -> None:
    """Call ``function(thread, n_threads, *arguments)`` for thread 0, the caller's, and for as many as come.

    `function` must do everything whoever else comes: on a busy machine a thread may not run before all is
    done, and is then not waited for. Any number of threads may call this at once, and a signal handler within
    a call: each takes helpers of its own. Raises what a call raised, after all of them have ended.
    """
    helpers: list[Helper] = []
    calls: list[Call] = []
    errors: list[BaseException | None] = []
    try:
        for thread in range(1, n_threads):
            helpers.append(_idle_helper())
            calls.append(Call(partial(function, thread, n_threads, *arguments)))
            helpers[-1].begin(calls[-1])
        function(0, n_threads, *arguments)
    finally:
        errors = [call.withdraw_or_wait() for call in calls]
        _idle.extend(helpers)
    for error in errors:
        if error is not None:
            raise error


def _idle_helper() -> Helper:
    try:
        return _idle.pop()
    except IndexError:
        return Helper()

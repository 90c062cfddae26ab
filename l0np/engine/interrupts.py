"""Ctrl-C during training: the current epoch is completed, so that the state is always that of an epoch."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class DelayedInterrupt:
    """A context in which the first SIGINT only sets `requested`; a second one interrupts at once.

    Signals arrive in the main thread, and only Python's own handler is replaced: where another one is
    installed, or in another thread, nothing changes and `requested` stays False.

    Examples
    --------
    >>> import os, signal
    >>> with DelayedInterrupt() as interrupt:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     interrupt.requested
    True
    """

    def __init__(self) -> None:
        self.requested = False
        self._replaced: Any = None

    def __enter__(self) -> "DelayedInterrupt":
        """Install the handler where Python's own is installed."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._replaced = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Install Python's own handler again."""
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        if self._replaced is not None:
            signal.signal(signal.SIGINT, self._replaced)
            self._replaced = None

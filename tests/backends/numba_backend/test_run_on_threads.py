"""Threads that share the work of an epoch: who is waited for, what is raised, forks and signals."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import HAS_NUMBA, needs_numba

pytestmark = needs_numba
if HAS_NUMBA:
    from l0np.backends.numba.threads import Call, run_on_threads

PATIENCE = 30  # seconds until a test that hangs fails


class Meeting:
    """Calls that all wait until as many as expected have come."""

    def __init__(self, n_threads):
        self.barrier, self.came = threading.Barrier(n_threads), []

    def __call__(self, thread, n_threads):
        self.barrier.wait(PATIENCE)
        self.came.append((thread, n_threads, threading.get_ident()))


def test_each_thread_has_its_number_and_runs_at_the_same_time():
    for n_threads in (1, 2, 5):
        meeting = Meeting(n_threads)
        run_on_threads(n_threads, meeting)
        assert sorted((thread, n) for thread, n, _ in meeting.came) == [
            (t, n_threads) for t in range(n_threads)
        ]
        assert len({ident for *_, ident in meeting.came}) == n_threads
        assert (0, n_threads, threading.get_ident()) in meeting.came


def test_helpers_are_used_again():
    first, second = Meeting(3), Meeting(3)
    run_on_threads(3, first)
    run_on_threads(3, second)
    assert {ident for *_, ident in first.came} == {ident for *_, ident in second.came}


def test_a_helper_that_has_begun_is_waited_for():
    begun, ended = threading.Event(), []

    def work(thread, n_threads):
        if thread == 0:
            assert begun.wait(PATIENCE)
        else:
            begun.set()
            time.sleep(0.05)
            ended.append(thread)

    run_on_threads(2, work)
    assert ended == [1]


def test_a_call_that_has_not_begun_is_not_waited_for_and_never_runs():
    """As on a busy machine, where a helper may come when all is done."""
    came = []
    call = Call(lambda: came.append(1))
    assert call.withdraw_or_wait() is None
    call.run()
    assert came == []


@pytest.mark.parametrize("who", [0, 1, 2])
def test_what_a_call_raises_is_raised_after_all_have_ended(who):
    meeting, ended = threading.Barrier(3), []

    def work(thread, n_threads):
        meeting.wait(PATIENCE)
        if thread == who:
            raise KeyError(thread)
        time.sleep(0.02)
        ended.append(thread)

    with pytest.raises(KeyError, match=str(who)):
        run_on_threads(3, work)
    assert sorted(ended) == sorted({0, 1, 2} - {who})
    run_on_threads(3, Meeting(3))  # and the helpers serve again


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers for signals")
def test_a_signal_handler_that_raises_does_not_leave_a_helper_at_work():
    ended, begun = [], threading.Event()

    def work(thread, n_threads):
        if thread == 0:
            assert begun.wait(PATIENCE)
        else:
            begun.set()
            time.sleep(0.1)
            ended.append(thread)

    def interrupt(number, frame):
        raise TimeoutError("too long")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with pytest.raises(TimeoutError, match="too long"):
            run_on_threads(2, work)
        assert ended == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_calls_may_be_nested_and_side_by_side():
    def outer(thread, n_threads):
        run_on_threads(2, Meeting(2))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(run_on_threads, 3, outer) for _ in range(20)]:
            done.result(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # Python 3.12: what is tested
def test_a_forked_child_starts_threads_of_its_own():
    run_on_threads(3, Meeting(3))
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        meeting = Meeting(3)
        run_on_threads(3, meeting)
        os._exit(0 if len(meeting.came) == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

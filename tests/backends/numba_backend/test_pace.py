"""How many threads the next epoch gets."""

from support import needs_numba


@needs_numba
def test_pace_takes_the_faster_way_and_comes_back():
    from l0np.backends.numba.pace import Pace

    def run(pace, seconds, epochs):
        used = []
        for _ in range(epochs):
            used.append(pace.threads())
            pace.note(used[-1], seconds[used[-1]])
        return used

    pace = Pace(4, serial_seconds=1.0)
    pace.note(pace.threads(), 30.0)  # compiles
    assert run(pace, {4: 0.3, 1: 1.0}, 50).count(4) == 50  # no trial of one thread before it is cheap
    assert 4 in run(pace, {4: 0.3, 1: 1.0}, 200)
    busy = run(pace, {4: 20.0, 1: 1.0}, 400)
    assert 1 <= busy.count(4) < 15
    assert run(pace, {4: 0.3, 1: 1.0}, 1000)[-300:].count(4) > 280
    assert Pace(1, 1.0).threads() == 1

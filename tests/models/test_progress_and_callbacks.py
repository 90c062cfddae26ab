"""What callbacks see and may do while a model trains."""

import numpy as np
import pytest
from both_models import FIT, calibration
from support import same_state, small_problem

from l0np.errors import L0npError


def test_callbacks_see_the_progress_and_can_stop():
    M, y = small_problem()
    seen, model = [], calibration()

    def look(progress):
        seen.append(progress)
        assert model.epoch_ == progress.epoch
        np.testing.assert_allclose(progress.weights, model.get_weights(True))
        np.testing.assert_allclose(progress.estimates, model.predict(M), rtol=1e-6)
        np.testing.assert_allclose(
            progress.relative_errors, np.abs(y - model.predict(M)) / (y + 1), rtol=1e-3, atol=1e-6
        )
        assert progress.active_count == model.get_active_weights()["count"]
        penalties = 1e-2 * model.get_l0_penalty() + 1e-6 * model.get_l2_penalty()
        assert progress.loss == pytest.approx(progress.data_loss + penalties)
        residual = (y - M @ model.get_weights()) / (y + 1)
        assert progress.data_loss == pytest.approx((residual**2).sum(), rel=1e-4)
        return progress.epoch >= 20

    model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[look, lambda progress: None], **FIT)
    assert [progress.epoch for progress in seen] == [10, 20]
    assert model.epoch_ == 20
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=20, **FIT).state_dict())


def test_a_callback_that_raises_leaves_the_model_at_its_report():
    M, y = small_problem()

    def fail(progress):
        if progress.epoch == 20:
            raise KeyboardInterrupt

    model = calibration()
    with pytest.raises(KeyboardInterrupt):
        model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[fail], **FIT)
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=20, **FIT).state_dict())


def test_a_callback_that_stops_may_restore_the_best_state():
    M, y = small_problem()
    model, best = calibration(), {}

    def stop(progress):
        if progress.epoch == 10:
            best.update(model.state_dict())
        if progress.epoch == 30:
            model.load_state_dict(best)
            return True
        return "go on"  # only True stops

    model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[stop], **FIT)
    assert model.epoch_ == 10
    assert same_state(model.state_dict(), best)


def test_a_callback_must_not_change_the_state_and_go_on():
    M, y = small_problem()
    model = calibration()
    with pytest.raises(L0npError, match="state was changed during fit"):
        model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[lambda progress: model.reset()], **FIT)
    assert model.epoch_ == 0

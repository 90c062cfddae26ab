"""Fits on a small problem that crash, as the tests of `resume` use them."""

import pytest
from support import small_problem

from l0np.callbacks import FitCallback, checkpoint

M, Y = small_problem()


class CrashError(Exception):
    pass


class CrashAt(FitCallback):
    """Raises at an epoch, after the checkpoint of that epoch."""

    after_others = True
    every = 1

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, progress):
        if progress.epoch == self.epoch:
            raise CrashError


def crash(model, folder, epoch, *, every=10, callbacks=(), problem=(M, Y), **fit):
    with pytest.raises(CrashError):
        model.fit(*problem, callbacks=[checkpoint(folder, every), *callbacks, CrashAt(epoch)], **fit)

"""The errors that l0np raises.

Every error is an `L0npError`. A wrong value is also a `ValueError` and a wrong kind of object also a
`TypeError`, so that code that knows nothing of l0np catches what it expects.
"""

import sys
import warnings


class L0npError(Exception):
    """Base of all errors that l0np raises deliberately."""


class InputError(L0npError, ValueError):
    """An argument has a value, a shape or an element that cannot be used."""


class InputTypeError(L0npError, TypeError):
    """An argument is of a kind that cannot be used (a complex matrix, a string instead of a number)."""


class L0npWarning(UserWarning):
    """Base of all warnings that l0np gives deliberately."""


class PerformanceWarning(L0npWarning):
    """The computation takes longer than necessary; the message says what costs time and how to avoid it."""


class PoorFitWarning(L0npWarning):
    """A fit ended with a result that no user can want; the message says why and what to try."""


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, of a later version, or of something that cannot be resumed."""


class CheckpointWarning(L0npWarning):
    """A checkpoint could not be written, or an older one is used because the newest is damaged."""


class MissingPackageError(L0npError, ImportError):
    """A package is needed that is not installed; the message names it and the extra that installs it."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        self.purpose, self.package, self.extra = purpose, package, extra
        cure = f'pip install {package}, or install l0np with the extra "{extra}"'
        super().__init__(f"{purpose} needs {package}, which is not installed: {cure}")

    def __reduce__(self) -> tuple[type["MissingPackageError"], tuple[str, str, str]]:
        """Rebuild from the attributes, so that the error crosses process borders."""
        return type(self), (self.purpose, self.package, self.extra)


class BackendUnavailableError(L0npError, RuntimeError):
    """The requested device is not available on this machine; the message says what is missing."""


class DeviceMemoryError(L0npError, MemoryError):
    """A device has less memory free than training needs; raised before anything is trained.

    Attributes
    ----------
    needed, free, total : int
        Bytes that training needs, that the device has free, and that it has.
    """

    def __init__(self, needed: int, free: int, total: int) -> None:
        self.needed, self.free, self.total = needed, free, total
        super().__init__(
            f"training needs {needed / 1e9:.3f} GB of device memory, {free / 1e9:.3f} GB are free of "
            f"{total / 1e9:.3f} GB: "
            f'free memory on the device, use dtype="float32", or train on device="cpu"'
        )

    def __reduce__(self) -> tuple[type["DeviceMemoryError"], tuple[int, int, int]]:
        """Rebuild from the attributes, so that the error crosses process borders."""
        return type(self), (self.needed, self.free, self.total)


USUAL_CURE = "use a smaller lr, rescale the matrix and y, or use dtype='float64'"  # of a divergence


class DivergenceError(L0npError, ArithmeticError):
    """Training produced numbers that are not finite.

    The model is as it was at its last report of finite numbers or, if there was none, before `fit`.

    Attributes
    ----------
    epoch : int
        The epoch in which a number first stopped being finite, counted from 1 as in the printed report.
    learning_rate : float
        Learning rate of that epoch.
    loss : float
        The loss when the divergence was noticed, usually NaN or infinite.
    cure : str
        What is most likely to help.
    """

    def __init__(self, epoch: int, learning_rate: float, loss: float, cure: str = USUAL_CURE) -> None:
        self.epoch, self.learning_rate, self.loss, self.cure = epoch, learning_rate, loss, cure
        super().__init__(
            f"training diverged in epoch {epoch} (learning rate {learning_rate:g}, loss {loss:g}): "
            f"a weight, a prediction, the loss or a second moment is no longer finite. "
            f"{cure[0].upper()}{cure[1:]}. The model is as it was at its last finite report, or before fit."
        )

    def __reduce__(self) -> tuple[type["DivergenceError"], tuple[int, float, float, str]]:
        """Rebuild from the attributes, so that the error crosses process borders."""
        return type(self), (self.epoch, self.learning_rate, self.loss, self.cure)


def warn(message: str, category: type[Warning]) -> None:
    """Give a warning that points to the line outside this package that called it."""
    package, depth, frame = __name__.split(".")[0], 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == package:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, category, stacklevel=depth)

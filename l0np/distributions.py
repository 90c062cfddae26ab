"""`HardConcrete`, under the name that its module has in l0-python; see `l0np.gates`."""

from l0np.gates import HardConcrete

__all__ = ["HardConcrete"]

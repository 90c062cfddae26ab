"""Columns on several ranks, which MPI starts and connects: `World` is the communicator that fits take.

`mpiexec -n 4 python program.py` runs a program four times. Each run opens its own columns of a saved matrix
(`World.columns`), fits a model of these with ``communicator=world``, and has their weights.
"""

from l0np.mpi.world import World, is_launched

__all__ = ["World", "is_launched"]

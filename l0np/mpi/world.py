"""`World`: all ranks that `mpiexec` has started; the only file that loads mpi4py."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import MissingPackageError
from l0np.inputs import is_on_a_device
from l0np.matrix import even_cuts

LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # set by mpiexec of MPICH, Intel, OpenMPI


class World:
    """The ranks that share the columns of a matrix, connected by MPI.

    They hold neighbouring columns, in the order of ranks. All of them make the same calls in the same order;
    an error that one of them does not catch ends all of them, with its message. What is trained is the same,
    bit for bit, for any number of ranks (on CUDA, up to rounding).

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and how many there are.
    reproducible : bool
        True.

    Raises
    ------
    MissingPackageError
        If mpi4py, or an MPI library for it, is not installed.

    Examples
    --------
    A program that `mpiexec` has not started is the only rank:

    >>> import numpy as np
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.mpi import World
    >>> world = World()
    >>> world.rank, world.size
    (0, 1)
    >>> M = np.random.default_rng(0).uniform(size=(3, 50))
    >>> model = SparseCalibrationWeights(n_features=50, seed=0)
    >>> model = model.fit(M, [25.0, 26.0, 24.0], epochs=20, lr=0.1, n_active=5, communicator=world)
    >>> int(np.count_nonzero(world.allgather(model.get_weights(deterministic=True))))
    5
    """

    reproducible = True

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as reason:  # it is missing, or finds no library of MPI
            raise MissingPackageError(f"l0np.mpi ({reason})", "mpi4py", "mpi") from reason
        self._mpi, self._all = MPI, MPI.COMM_WORLD
        self.rank, self.size = int(self._all.Get_rank()), int(self._all.Get_size())
        self._buffers: dict[tuple[Any, ...], NDArray[Any]] = {}
        if self.size > 1 and not isinstance(sys.excepthook, _EndsAllRanks):
            sys.excepthook = _EndsAllRanks(self, sys.excepthook)

    def __repr__(self) -> str:
        """Show rank and size."""
        return f"World(rank={self.rank}, size={self.size})"

    @property
    def local_rank(self) -> int:
        """The number of this rank among those of its machine, from 0, for ``device=f"cuda:{local_rank}"``."""
        machine = self._all.Split_type(self._mpi.COMM_TYPE_SHARED)
        number = int(machine.Get_rank())
        machine.Free()
        return number

    def columns(self, folder: Any) -> slice:
        """Return this rank's columns of a saved matrix, for ``ColumnMatrix.open(folder, columns)``.

        Ranks get about equal numbers of entries; neighbouring columns that share their rarest row, as those
        of one district do, stay together.

        Parameters
        ----------
        folder : str or path
            What `ColumnMatrix.save` has written, where every rank finds it.

        Raises
        ------
        InputError
            If the folder does not open, or has fewer columns than there are ranks.
        """
        return even_cuts(folder, self.size)[self.rank]

    def allreduce(self, array: Any) -> Any:
        """Return the sum of an array over all ranks, on every rank; the next call may overwrite it.

        Parameters
        ----------
        array : array
            Numbers, of the same shape and dtype on every rank; from a CUDA device they go through the host.
        """
        if is_on_a_device(array):
            total = array.copy()
            total.set(self.allreduce(array.get()))
            return total
        numbers = np.asarray(array, order="C")
        key = numbers.shape, numbers.dtype.str
        if key not in self._buffers:
            self._buffers[key] = np.empty_like(numbers)
        total = self._buffers[key]
        self._all.Allreduce(numbers, total, self._mpi.SUM)
        return total

    def allgather(self, array: Any) -> NDArray[Any]:
        """Return the arrays of all ranks, joined in the order of ranks, on every rank.

        Parameters
        ----------
        array : array, (n,)
            Numbers or strings; n may differ between ranks.
        """
        values = np.ascontiguousarray(array)
        if values.dtype.kind not in "iufb":
            return np.concatenate(self._all.allgather(values))
        counts = np.array(self._all.allgather(values.size))
        joined = np.empty(int(counts.sum()), values.dtype)
        kind = self._mpi.Datatype.fromcode(values.dtype.char)
        self._all.Allgatherv([values, kind], [joined, counts, kind])
        return joined

    def gather(self, array: Any) -> NDArray[Any] | None:
        """Return what `allgather` returns on the first rank, and None on all others."""
        values = np.ascontiguousarray(array)
        if values.dtype.kind not in "iufb":
            arrays = self._all.gather(values)
            return None if arrays is None else np.concatenate(arrays)
        counts, kind = self._all.gather(values.size), self._mpi.Datatype.fromcode(values.dtype.char)
        joined = None if counts is None else np.empty(sum(counts), values.dtype)
        receive = None if joined is None else [joined, counts, kind]
        self._all.Gatherv([values, kind], receive)
        return joined

    def abort(self, message: str) -> None:
        """End all ranks, with a message on stderr that names this one."""
        print(f"rank {self.rank} of {self.size}: {message}", file=sys.stderr, flush=True)  # noqa: T201
        self._all.Abort(1)


def is_launched() -> bool:
    """Return whether `mpiexec` of a usual MPI library has started this program."""
    return any(name in os.environ for name in LAUNCHED)


class _EndsAllRanks:
    """What Python calls for an error that nobody caught: the other ranks would wait for this one for ever."""

    def __init__(self, world: World, before: Any) -> None:
        self._world, self._before = world, before

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._before(kind, error, trace)
        self._world.abort(f"{kind.__name__}: {error}")

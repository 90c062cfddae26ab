"""How the kernels that visit columns are launched: it depends on the matrix and the card alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WARP = 32
MOST_WARPS = 32  # of a block
# Mean entries of a column below which 8 lanes read it together, not 32, so that fewer idle at its end
SHORT_COLUMN = 48


@dataclass(frozen=True)
class Geometry:
    """How the kernels that visit columns are launched. Results depend on `lanes` alone: the order of sums."""

    lanes: int  # of a warp that read a column together; depends on the matrix alone
    shared_bytes: int  # for the block's own sums; 0 where they do not fit and the sums are in device memory
    columns_per_warp: int
    threads: int
    blocks: int

    @classmethod
    def choose(
        cls,
        shape: tuple[int, int],
        nnz: int,
        attributes: dict[str, int],
        static_bytes: int = 0,
        most_threads: int = WARP,
    ) -> Geometry:
        """Choose one block for each multiprocessor, and a warp's columns so that small problems fill all.

        Parameters
        ----------
        attributes : dict
            CuPy's ``Device.attributes``.
        static_bytes, most_threads : int
            Shared memory that the kernel has besides the sums, and the largest block that it allows.
        """
        n_rows, n_columns = shape
        processors, most_warps = attributes["MultiProcessorCount"], min(MOST_WARPS, most_threads // WARP)
        lanes = 8 if nnz < SHORT_COLUMN * n_columns else WARP
        together = WARP // lanes
        columns_each = -(-n_columns // (processors * most_warps))
        columns_per_warp = min(-(-columns_each // together) * together, WARP)
        tasks = -(-n_columns // columns_per_warp)
        warps = min(-(-tasks // processors), most_warps)
        fits = 8 * n_rows + static_bytes <= attributes["MaxSharedMemoryPerBlockOptin"]
        blocks = min(processors, -(-tasks // warps))
        return cls(lanes, 8 * n_rows if fits else 0, columns_per_warp, WARP * warps, blocks)

    @property
    def launch(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Blocks and threads, as CuPy takes them."""
        return (self.blocks,), (self.threads,)

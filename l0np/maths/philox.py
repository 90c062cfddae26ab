"""Random numbers as a pure function of (seed, stream, epoch, column): Philox4x32-10.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
There is no generator and no state: every backend, thread and resumed run draws the same numbers. Saved states
rely on it: do not change it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF

GATES, LOG_ALPHA_JITTER, LOG_WEIGHT_JITTER, WEIGHT_START, SELECTION = range(5)  # the streams


def philox4x32(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Return the four words of each counter: uint64 arrays that hold 32-bit words, in and out.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(1, dtype=np.uint64)
    >>> [f"{int(word[0]):08x}" for word in philox4x32((zero, zero, zero, zero), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c2 = (product1 >> 32) ^ c1 ^ k0, (product0 >> 32) ^ c3 ^ k1
        c1, c3 = product1 & WORD, product0 & WORD
        k0, k1 = (k0 + KEY_STEPS[0]) & WORD, (k1 + KEY_STEPS[1]) & WORD
    return c0, c1, c2, c3


def uniform(xp: Any, seed: int, stream: int, epoch: int, first_column: int, n_columns: int) -> Any:
    """Return one uniform in (0, 1) for each of `n_columns` neighbouring columns: float32, shape (n_columns,).

    Examples
    --------
    >>> import numpy as np
    >>> uniform(np, seed=0, stream=GATES, epoch=0, first_column=0, n_columns=3)
    array([0.39904648, 0.88052016, 0.7357128 ], dtype=float32)
    """
    first, last = first_column // 4, (first_column + n_columns + 3) // 4
    # One counter serves four neighbouring columns
    quads = xp.astype(xp.arange(last - first), xp.uint64) + first
    zeros = xp.zeros_like(quads)
    counter = quads & WORD, quads >> 32, zeros + (epoch & WORD), zeros + stream
    words = philox4x32(counter, (seed & WORD, seed >> 32))
    word = xp.reshape(xp.stack(words, axis=-1), (-1,))[first_column - 4 * first :][:n_columns]
    # 23 bits: with 24 the largest draw rounds to 1.0 in float32
    return (xp.astype(word >> 9, xp.float32) + 0.5) * 2.0**-23


def normal(seed: int, stream: int, n_columns: int, first_column: int = 0) -> NDArray[np.float64]:
    """Return one standard normal for each column, in float64: the quantiles of the epoch-0 uniforms.

    Examples
    --------
    >>> normal(seed=0, stream=LOG_ALPHA_JITTER, n_columns=2).shape
    (2,)
    """
    return normal_quantile(uniform(np, seed, stream, 0, first_column, n_columns).astype(np.float64))


# Numerators and denominators of two of Wichura's ratios, highest power first: for the middle, as a function
# of 0.180625 - (u - 1/2)^2, and for the tails, of sqrt(-log u) - 1.6. His third ratio, for u below e^-25, is
# not needed: no draw is below 2^-24.
_MIDDLE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAILS = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip


def normal_quantile(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles of the standard normal distribution at u, to about 1e-15.

    u must be from 2^-24 to 1 - 2^-24.

    M. J. Wichura: Algorithm AS 241: the percentage points of the normal distribution (Applied Statistics 37,
    1988). SciPy has the same function, but importing it takes longer than everything else in a first fit.

    Examples
    --------
    >>> normal_quantile(np.array([0.5, 0.975])).round(6)
    array([0.      , 1.959964])
    """
    q = u - 0.5
    middle = q * _ratio(_MIDDLE, 0.180625 - q * q)
    tail = np.copysign(_ratio(_TAILS, np.sqrt(-np.log(np.minimum(u, 1.0 - u))) - 1.6), q)
    return np.where(np.abs(q) <= 0.425, middle, tail)


def _ratio(
    polynomials: tuple[tuple[float, ...], tuple[float, ...]], r: NDArray[np.float64]
) -> NDArray[np.float64]:
    above, below = (np.full_like(r, polynomial[0]) for polynomial in polynomials)
    for values, polynomial in ((above, polynomials[0]), (below, polynomials[1])):
        for coefficient in polynomial[1:]:
            values *= r
            values += coefficient
    above /= below
    return above

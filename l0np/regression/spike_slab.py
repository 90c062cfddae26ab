"""How probable it is that each column belongs in a linear model: gates are sampled instead of trained.

Spike and slab (E. I. George, R. E. McCulloch, JASA 88, 1993): a Gibbs sampler over y = a + Z (gate b) + noise
with standardised columns Z,

    gate_j ~ Bernoulli(fraction)   fraction ~ Beta(1, p / min(sqrt(p), sqrt(n))): few columns matter
    b_j ~ N(0, variance * slab)    or that density times b_j^2; the kind is drawn too, with prior odds of 1
    E b_j^2 = variance * spread    spread ~ InverseGamma(1/2, n / 50): heavy tails; a column of Z has length 1
    noise ~ N(0, variance)         p(variance) = 1 / variance

A priori about sqrt(p) columns are expected, but not more than sqrt(n): if the data say little, a model of
many more columns would fit noise.

The slab with the factor b^2, a moment prior (V. E. Johnson, D. Rossell, JASA 107, 2012), excludes
coefficients near 0. It is probable if the coefficients in the model are similar in size, and then demands
more of a column whose coefficient would be small. With it, `slab` is a third of `spread`; without it the two
are equal.

Each sweep draws all gates with their coefficients, then variance, kind of slab, spread and fraction. The
answer averages, instead of the draws, each gate's probability and its coefficient's expectation given all the
rest. These averages determine the support of the largest expected F1 measure: see `expected_f1`.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.regression.gram import Products
from l0np.regression.shared_kernels import Chain, Conditions, Noise, SweepProducts
from l0np.regression.sweep import sweep

# Twice the scale of the spread's prior, as a fraction of the unit-information prior
SPREAD = 0.04
SMALLEST_VARIANCE = 1e-10  # relative to the response's, so that an exact fit does not divide by 0

Sweep = Callable[[int, SweepProducts, Chain, Noise, Conditions], int]


@dataclass(frozen=True)
class ChainLength:
    """How long the sampler runs."""

    sweeps: int = 1000
    burn_in: int = 100  # sweeps that are not averaged
    block: int = 100  # sweeps after which the residual is recomputed, because sums of many updates drift
    block_draws: int = 2_000_000  # largest number of random numbers of each kind that are drawn at once


DEFAULT_LENGTH = ChainLength()


@dataclass(frozen=True)
class Posterior:
    """Posterior of the columns."""

    inclusion: NDArray[np.float64]  # probability that each column is in the model
    empty: float  # probability that no column is
    mean: NDArray[np.float64]  # of each column's coefficient, over models with and without it


class Hyperparameters(NamedTuple):
    """What each sweep draws after the gates and coefficients."""

    variance: float
    spread: float
    fraction: float
    power: int  # power of the slab's scale in its density: 3 with the factor b^2, else 1

    @property
    def slab(self) -> float:
        """Variance of the slab's normal density, in units of the noise's."""
        return self.spread / self.power

    def conditions(self) -> Conditions:
        """Return the conditions under which the gates of the next sweep are drawn."""
        slab, power = self.slab, self.power
        log_odds = math.log(self.fraction / (1.0 - self.fraction)) - 0.5 * power * math.log1p(slab)
        return Conditions(log_odds, slab / (1.0 + slab), self.variance, power == 3)


@dataclass(frozen=True)
class Prior:
    """The prior's constants for a problem.

    Attributes
    ----------
    candidates : int
        Number of columns before screening.
    against : float
        Second parameter of the fraction's Beta distribution.
    rate : float
        Rate of the spread's inverse Gamma distribution.
    """

    candidates: int
    against: float
    rate: float

    @classmethod
    def of(cls, degrees: float, candidates: int) -> "Prior":
        """Return the prior for a response of so many degrees of freedom and so many columns."""
        return cls(candidates, candidates / math.sqrt(min(candidates, degrees)), 0.5 * SPREAD * degrees)

    def start(self, products: Products) -> Hyperparameters:
        """Return the hyperparameters of the first sweep."""
        return Hyperparameters(
            variance=products.total / products.degrees,
            spread=2.0 * self.rate,
            fraction=1.0 / (1.0 + self.against),
            power=1,
        )

    def draw(
        self, before: Hyperparameters, sums: list[float], products: Products, generator: np.random.Generator
    ) -> Hyperparameters:
        """Draw all hyperparameters given the coefficients of a sweep, whose `Chain.sums` are given."""
        size, coefficients, explained, logs = sums
        squares = max(products.total - explained, SMALLEST_VARIANCE * products.total)
        shape = 0.5 * (products.degrees + before.power * size)
        variance = 0.5 * (squares + coefficients / before.slab) / generator.standard_gamma(shape)
        odds = self._moment_odds(size, coefficients / variance, logs - size * math.log(variance))
        power = 3 if generator.random() < 1.0 / (1.0 + math.exp(min(-odds, 700.0))) else 1
        rate = self.rate + 0.5 * power * coefficients / variance
        spread = rate / generator.standard_gamma(0.5 * (1.0 + power * size))
        fraction = generator.beta(1.0 + size, self.against + self.candidates - size)
        return Hyperparameters(variance, spread, min(max(fraction, 1e-12), 1.0 - 1e-12), power)

    def _moment_odds(self, size: float, squares: float, logs: float) -> float:
        """Return the log odds of a moment prior against a normal one, the spread of both integrated out.

        There are `size` coefficients; their sum of squares and sum of log squares, in units of the noise, are
        `squares` and `logs`.
        """
        one, three = 0.5 * (1.0 + size), 0.5 * (1.0 + 3.0 * size)
        normal = math.lgamma(one) - one * math.log(self.rate + 0.5 * squares)
        moment = math.lgamma(three) - three * math.log(self.rate + 1.5 * squares)
        return moment - normal + logs + 1.5 * size * math.log(3.0)


def sample(
    products: Products,
    seed: int,
    *,
    compiled: bool,
    candidates: int = 0,
    length: ChainLength = DEFAULT_LENGTH,
    report: Callable[[float], bool] = lambda fraction: False,
) -> Posterior:
    """Return the posterior: the probability of each column and of the empty model, and mean coefficients.

    Parameters
    ----------
    products : Products
        Inner products of the standardised columns and the centred response.
    seed : int
        Seed of all noise.
    compiled : bool
        Whether Numba may be used.
    candidates : int
        Number of columns before screening; used if it is above p.
    length : ChainLength
        How long the sampler runs.
    report : callable
        Called once for each block with the fraction of the sweeps that are done; it returns True to end the
        sampling early, once a sweep has been averaged.
    """
    p = len(products.response)
    if products.total == 0 or not products.response.any():
        return Posterior(np.zeros(p), 1.0, np.zeros(p))
    generator, step = np.random.Generator(np.random.Philox(key=seed)), _sweep(compiled)
    prior, gram = Prior.of(products.degrees, max(p, candidates)), products.gram
    drawn, block = prior.start(products), max(1, min(length.block, length.block_draws // p))
    chain = Chain(np.zeros(p), products.response.copy(), np.zeros(p), np.zeros(p), np.empty(4))
    included, mean, empty, averaged = np.zeros(p), np.zeros(p), 0, 0
    with np.errstate(over="ignore", divide="ignore"):
        for number in range(length.sweeps):
            if number % block == 0:
                if report(number / length.sweeps) and averaged:
                    break
                uniform, normal = generator.random((block, p)), generator.standard_normal((block, p))
                on = np.flatnonzero(chain.b)
                chain.residual[:] = products.response - chain.b[on] @ gram.of(on)
                view = SweepProducts(gram.rows, gram.slots, products.response)
            noise, given = Noise(uniform[number % block], normal[number % block]), drawn.conditions()
            done = step(0, view, chain, noise, given)
            while done < p:  # the sweep needs a row that has not been made
                gram.make(done, keep=np.flatnonzero(chain.b))
                view = view._replace(rows=gram.rows)
                done = step(done, view, chain, noise, given)
            sums = chain.sums.tolist()
            drawn = prior.draw(drawn, sums, products, generator)
            if number >= length.burn_in:
                included += chain.probability
                mean += chain.expected
                empty += sums[0] == 0.0
                averaged += 1
    return Posterior(included / averaged, empty / averaged, mean / averaged)


def _sweep(compiled: bool) -> Sweep:
    """Return the compiled sweep if it may be used and Numba is installed, else the plain one."""
    if not compiled or importlib.util.find_spec("numba") is None:
        return sweep
    from l0np.regression import spike_slab_kernels

    return spike_slab_kernels.sweep


def expected_f1(inclusion: NDArray[np.float64], empty: float) -> NDArray[np.float64]:
    """Return the expected F1 measure of the k most probable columns, for k = 0 to p.

    It is about ``2 sum of their probabilities / (k + sum of all)``, which the most probable columns maximise
    for each k (D. D. Lewis, SIGIR 1995). Selecting no column is right only if none belongs in the model.

    Examples
    --------
    >>> import numpy as np
    >>> expected_f1(np.array([0.25, 1.0, 0.75]), empty=0.0).round(3)
    array([0.   , 0.667, 0.875, 0.8  ])
    """
    ranked = np.cumsum(np.sort(inclusion)[::-1])
    k = np.arange(1, len(inclusion) + 1)
    return np.concatenate(([empty], 2.0 * ranked / (k + ranked[-1])))

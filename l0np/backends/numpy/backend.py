"""The reference: an epoch in plain terms of the formulas. Every other backend is tested against this one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import NEVER, Problem, Slopes, State, with_intercept
from l0np.maths import adam_update, l0_penalty, l2_penalty, philox
from l0np.matrix import ColumnMatrix


class NumpyBackend:
    """NumPy, and SciPy's products. Complete and readable; the fast backends override `start` and `step`."""

    name = "numpy"
    xp: Any = np
    on_device = False
    exact = True

    def active(self) -> AbstractContextManager[Any]:
        """Return a context that does nothing: there is one memory."""
        return nullcontext()

    def matrix(self, matrix: ColumnMatrix) -> Any:
        """Return what multiplies in float64, a SciPy csc_array or that of a folded matrix."""
        return matrix.product_form()

    def adopt(self, name: str, matrix: Any, dtype: np.dtype[Any]) -> Any:
        """Return None, because this backend has no device on which a matrix could live."""

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy."""
        return np.array(array)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a copy."""
        return np.array(array)

    def matvec(self, matrix: Any, columns: Any) -> Any:
        """Return M @ columns in float64."""
        return matrix @ columns

    def rmatvec(self, matrix: Any, rows: Any) -> Any:
        """Return M.T @ rows in float64."""
        return matrix.T @ rows

    def exact_matvec(self, matrix: Any, columns: Any, starts: Any, *, absolute: bool = False) -> Any:
        """Return M @ columns in sums that start at `starts`; each product is rounded as it is added."""
        of_entries = np.repeat(np.asarray(columns, np.float64), np.diff(matrix.indptr))
        products = ((matrix.data * of_entries).view(np.uint64) | np.uint64(1)).view(np.float64)
        if absolute:
            products = np.abs(products)
        starts_of_entries = starts[matrix.indices]
        rounded = (starts_of_entries + products) - starts_of_entries
        return np.bincount(matrix.indices, rounded, minlength=matrix.shape[0])

    def row_extents(self, matrix: Any) -> tuple[Any, Any]:
        """Return the number of entries of each row, and the size of its largest one."""
        counts, largest = np.bincount(matrix.indices, minlength=matrix.shape[0]), np.zeros(matrix.shape[0])
        np.maximum.at(largest, matrix.indices, np.abs(matrix.data))
        return counts.astype(np.float64), largest

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`."""
        state.run = None
        state.first_bad = self.xp.full((1,), NEVER, dtype=self.xp.int64)
        state.counts = self.xp.zeros((1, 3), dtype=self.xp.int64)
        self._forward(problem, state, out)

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch: chain rule, Adam, next gates, next prediction."""
        xp, theta, log_alpha = self.xp, state.theta, state.log_alpha
        learning_rate = problem.learning_rate(state.epoch)
        state.counts[0, 0] += problem.matrix.nnz
        by_weight = xp.astype(self.rmatvec(problem.matrix, gradient), theta.value.dtype)
        is_open = (state.slopes.theta_slope != 0) | (state.slopes.log_alpha_slope != 0)
        by_weight = xp.where(is_open, by_weight, xp.zeros_like(by_weight))  # 0 times infinity would be NaN
        by_theta = by_weight * state.slopes.theta_slope
        by_log_alpha = by_weight * state.slopes.log_alpha_slope
        if problem.lambda_l2:
            by_theta += problem.lambda_l2 * l2_penalty(theta.value, problem.link, problem.l2_anchor)[1]
        if problem.gates and state.lambda_l0:
            by_log_alpha += state.lambda_l0 * l0_penalty(log_alpha.value, problem.gates(state.epoch))[1]
        state.adam_step += 1
        adam_update(theta, by_theta, learning_rate, state.adam_step)
        if problem.gates:
            adam_update(log_alpha, by_log_alpha, learning_rate, state.adam_step)
        state.epoch += 1
        self._forward(problem, state, out)

    def _forward(self, problem: Problem, state: State, out: Any) -> None:
        xp = self.xp
        theta, log_alpha = state.theta.value, state.log_alpha.value
        weight, slope = problem.link.weight(theta)
        if problem.gates:
            u = philox.uniform(xp, state.seed, philox.GATES, state.epoch, problem.column_offset, len(theta))
            gate, gate_slope = problem.gates(state.epoch).sample(log_alpha, u)
            out[...] = self._predicted(problem, weight * gate)
            state.counts[0, 2] += xp.sum(xp.astype(gate == 0, xp.int64))
            is_open, zero = (gate > 0) | (gate_slope != 0), xp.zeros_like(gate)
            state.slopes = Slopes(
                xp.where(is_open, gate * slope, zero), xp.where(is_open, weight * gate_slope, zero)
            )
        else:
            out[...] = self._predicted(problem, weight)
            state.slopes = Slopes(slope, xp.zeros_like(slope))
        state.counts[0, 1] += problem.matrix.nnz
        finite = xp.asarray(True)
        for array in (
            out,
            weight,
            theta,
            log_alpha,
            state.theta.second_moment,
            state.log_alpha.second_moment,
        ):
            finite = finite & xp.all(xp.isfinite(array))
        state.first_bad = xp.minimum(
            state.first_bad, xp.where(finite, xp.asarray(NEVER), xp.asarray(state.epoch))
        )

    def _predicted(self, problem: Problem, columns: Any) -> Any:
        if problem.row_starts is None:
            return self.matvec(problem.matrix, columns)
        return self.exact_matvec(problem.matrix, columns, problem.row_starts)

    def row_step(self, problem: Problem, state: State, prediction: Any, out: Any) -> Any:
        """Write the gradient of the loss into `out`, train the intercept, return `out`."""
        problem.loss.gradient(with_intercept(prediction, state), out=out)
        if state.intercept is not None:
            xp, value, second_moment = self.xp, state.intercept.value, state.intercept.second_moment
            by_intercept = xp.astype(xp.sum(out, keepdims=True), value.dtype)
            adam_update(
                state.intercept, by_intercept, problem.learning_rate(state.epoch), state.adam_step + 1
            )
            finite = xp.isfinite(value) & xp.isfinite(second_moment)
            noted = xp.where(finite, xp.full((1,), NEVER), xp.full((1,), state.epoch + 1))
            state.first_bad[:1] = xp.minimum(state.first_bad[:1], noted)
        return out

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Run `body` n times."""
        for _ in range(n):
            body()

"""The formulas again, as naive loops on `math`. Shares nothing with the package."""

import math

BOUND = 20.0


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def clip(x, low, high):
    return low if x < low else high if x > high else x


def prob_open(log_alpha, beta, gamma, zeta):
    return sigmoid(clip(log_alpha, -BOUND, BOUND) - beta * math.log(-gamma / zeta))


def stretched(log_alpha, u, beta, gamma, zeta):
    u = clip(u, 1e-6, 1 - 1e-6)
    s = sigmoid((math.log(u) - math.log(1 - u) + clip(log_alpha, -BOUND, BOUND)) / beta)
    return s * (zeta - gamma) + gamma


def gate(log_alpha, u, beta, gamma, zeta):
    return clip(stretched(log_alpha, u, beta, gamma, zeta), 0.0, 1.0)


def test_time_gate(log_alpha, beta, gamma, zeta, temperature):
    a = clip(log_alpha, -BOUND, BOUND)
    return clip(sigmoid(a / beta if temperature else a) * (zeta - gamma) + gamma, 0.0, 1.0)


test_time_gate.__test__ = False


def group_weights(groups, normalize, multipliers):
    return [(1 / groups.count(g) if normalize else 1.0) * (multipliers or {}).get(g, 1.0) for g in groups]


def data_loss(prediction, y, weights, relative):
    return sum(
        g * ((t - p) / (t + 1 if relative else 1)) ** 2
        for p, t, g in zip(prediction, y, weights, strict=True)
    )


def robust_loss(prediction, y, scales, weights, tolerances, caps):
    """Squares of scaled errors beyond a tolerance, bounded as by Geman and McClure (sigma^2 is the cap)."""
    total = 0.0
    for p, t, scale, g, tolerance, cap in zip(prediction, y, scales, weights, tolerances, caps, strict=True):
        beyond = max(abs(p - t) - tolerance, 0.0) / scale
        total += g * (beyond**2 if math.isinf(cap) else cap * beyond**2 / (cap + beyond**2))
    return total


def absolute_loss(prediction, y, scales, weights, tolerances, caps, smooth):
    """Absolute scaled errors beyond a tolerance, a parabola below `smooth`, cut off at the cap."""
    total = 0.0
    for p, t, scale, g, tolerance, cap in zip(prediction, y, scales, weights, tolerances, caps, strict=True):
        x = max(abs(p - t) - tolerance, 0.0) / scale
        total += g * min(x - smooth / 2 if x > smooth else x * x / (2 * smooth), cap)
    return total


def squared_distances(weights, anchor):
    """The sum of squared relative distances from the weights `anchor`."""
    return sum((wj / w0 - 1) ** 2 for wj, w0 in zip(weights, anchor, strict=True))


def objective(
    theta, log_alpha, intercept, u, M, y, weights, *, relative, exponential, gates, lambda_l0, lambda_l2,
    anchor=None,
):  # fmt: skip
    """The loss of one epoch; `gates` is (beta, gamma, zeta) or None, M a list of rows, `anchor` weights."""
    w = [math.exp(t) if exponential else t for t in theta]
    z = [gate(a, draw, *gates) if gates else 1.0 for a, draw in zip(log_alpha, u, strict=True)]
    prediction = [intercept + sum(m * wj * zj for m, wj, zj in zip(row, w, z, strict=True)) for row in M]
    l0 = sum(prob_open(a, *gates) for a in log_alpha) if gates else 0.0
    l2 = sum(wj**2 for wj in w) if anchor is None else squared_distances(w, anchor)
    return data_loss(prediction, y, weights, relative) + lambda_l0 * l0 + lambda_l2 * l2


def slope(function, values, i, step=1e-5):
    """Central difference by the i-th of `values`."""
    up, down = list(values), list(values)
    up[i] += step
    down[i] -= step
    return (function(up) - function(down)) / (2 * step)


def adam(values, gradients, learning_rate):
    """Adam over a list of gradient lists (Kingma and Ba, algorithm 1)."""
    values = list(values)
    m, v = [0.0] * len(values), [0.0] * len(values)
    for t, gradient in enumerate(gradients, start=1):
        for i, g in enumerate(gradient):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            values[i] -= learning_rate * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    return values


def trajectory(values, function, epochs, learning_rate):
    """Where Adam leads in so many epochs, by central differences of ``function(values, epoch)``."""
    gradients = []
    for epoch in range(epochs):
        now = adam(values, gradients, learning_rate)
        gradients.append([slope(lambda x, t=epoch: function(x, t), now, i) for i in range(len(now))])
    return adam(values, gradients, learning_rate)

"""Temperature scaling: one number that logits are divided by, so that probabilities mean what they say.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
"""

import numpy as np
import numpy.typing as npt

from retort.tasks.base import Floats, Targets

LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(logits: Floats, targets: Targets, activation: str) -> float:
    """The temperature in [0.05, 20] under which the targets are likeliest.

    Logits (N, n_labels); targets (N,) for `softmax`, (N, n_labels) for `sigmoid`.  A weak pull towards 1 (a
    log-normal prior, worth about one row) keeps a handful of rows, or rows that are all right, from claiming
    certainty.  Never worse in likelihood than 1; exactly 1 where there is nothing to learn from.
    """
    if not logits.size or not np.isfinite(logits).all():
        return 1.0

    def cost(exponent: float) -> float:
        likelihood = negative_log_likelihood(logits / np.exp(exponent), targets, activation)
        return len(logits) * likelihood + exponent**2 / 2

    grid = np.linspace(np.log(LOWEST), np.log(HIGHEST), 25)
    best = float(grid[np.argmin([cost(e) for e in grid])])
    step = float(grid[1] - grid[0])
    low, high = max(best - step, float(grid[0])), min(best + step, float(grid[-1]))
    for _ in range(16):  # golden section: to four digits
        left, right = high - 0.618 * (high - low), low + 0.618 * (high - low)
        low, high = (low, right) if cost(left) <= cost(right) else (left, high)
    found = (low + high) / 2
    return float(np.exp(found)) if cost(found) < cost(0.0) else 1.0


def negative_log_likelihood(logits: npt.NDArray[np.floating], targets: Targets, activation: str) -> float:
    """Mean over rows of -log p(target), in nats; of `sigmoid`, summed over the labels."""
    return float(_ROW_LOSS[activation](np.asarray(logits, np.float64), targets).mean())


def _softmax_loss(logits: npt.NDArray[np.float64], targets: Targets) -> npt.NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets])


def _sigmoid_loss(logits: npt.NDArray[np.float64], targets: Targets) -> npt.NDArray[np.float64]:
    return np.asarray((np.logaddexp(0.0, logits) - targets * logits).sum(axis=1))


_ROW_LOSS = {"softmax": _softmax_loss, "sigmoid": _sigmoid_loss}

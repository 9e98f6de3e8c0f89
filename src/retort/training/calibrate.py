"""Temperature scaling: one number that logits are divided by, so that probabilities mean what they say.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from retort.tasks.base import Floats, Targets
from retort.tasks.chain import Chain

LOWEST, HIGHEST = 0.05, 20.0
MAX_WORDS = 5000  # on which a chain's temperature is fitted: it is one number, and each word costs microseconds


def fit_temperature(logits: Floats, targets: Targets, activation: str) -> float:
    """The temperature in [0.05, 20] under which the targets are likeliest.

    Logits (N, n_labels); targets (N,) for `softmax`, (N, n_labels) for `sigmoid`.  A weak pull towards 1 (a
    log-normal prior, worth about one row) keeps a handful of rows, or rows that are all right, from claiming
    certainty.  Never worse in likelihood than 1; exactly 1 where there is nothing to learn from.
    """
    if not logits.size or not np.isfinite(logits).all():
        return 1.0

    def loss(temperature: float) -> float:
        return len(logits) * negative_log_likelihood(logits / temperature, targets, activation)

    return _minimise(loss)


def fit_chain_temperature(logits: Sequence[Floats], targets: Sequence[Targets], chain: Chain) -> float:
    """The same where tags follow each other: the temperature of a chain and its emissions, (n_words, n_tags) of each
    text, under which the true tags (n_words,) are likeliest as sequences."""
    if not all(np.isfinite(each).all() for each in logits):
        return 1.0
    ends = np.cumsum([len(each) for each in logits])
    chosen = range(0, len(logits), max(1, -(-int(ends[-1]) // MAX_WORDS)))  # all over the file, and enough

    def loss(temperature: float) -> float:
        softened = chain.soften(temperature)
        return -sum(softened.log_likelihood(logits[i] / temperature, targets[i]) for i in chosen)

    return _minimise(loss)


def _minimise(loss: Callable[[float], float]) -> float:
    """Of a loss in nats, summed over what there is."""

    def cost(exponent: float) -> float:
        return loss(float(np.exp(exponent))) + exponent**2 / 2

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

"""Scores of predictions against targets, and the probabilities they are computed from.  Plain numpy."""

import numpy as np
import numpy.typing as npt

from retort.tasks.base import Floats

Ints = npt.NDArray[np.int64]


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Probability of each logit by itself."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float32)


def confusion_matrix(targets: Ints, predicted: Ints, n_labels: int) -> Ints:
    """Counts (n_labels, n_labels): rows are what is true, columns what was predicted."""
    flat = np.bincount(targets * n_labels + predicted, minlength=n_labels * n_labels)
    return flat.reshape(n_labels, n_labels).astype(np.int64)


def precision_recall_f1(true_positives: Ints, predicted: Ints, actual: Ints) -> tuple[Floats, Floats, Floats]:
    """Per label, from counts; 0 where a ratio has nothing below it."""
    precision = true_positives / np.maximum(predicted, 1)
    recall = true_positives / np.maximum(actual, 1)
    f1 = 2 * true_positives / np.maximum(predicted + actual, 1)
    return precision.astype(np.float32), recall.astype(np.float32), f1.astype(np.float32)


def expected_calibration_error(confidences: Floats, correct: npt.NDArray[np.bool_], n_bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by their counts.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    if not confidences.size:
        return 0.0
    bins = np.minimum((confidences * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=correct.astype(np.float64) - confidences, minlength=n_bins)
    return float(np.abs(gaps).sum() / confidences.size)

"""Scores of logits (N, n_labels) against what is true of N inputs; the first one selects the best epoch."""

import numpy as np

from retort.tasks.base import Decoding, Floats, Targets
from retort.tasks.metrics import confusion_matrix, expected_calibration_error, precision_recall_f1, sigmoid, softmax


def score_single_label(logits: Floats, targets: Targets, decoding: Decoding) -> dict[str, float]:
    """Where one label holds, targets (N,) of indices.

    accuracy, macro_f1 (over labels present in either), weighted_f1, ece, log_loss.
    """
    n_labels = len(decoding.labels)
    probabilities = softmax(logits / decoding.temperature)
    predicted = probabilities.argmax(axis=-1)
    matrix = confusion_matrix(targets, predicted, n_labels)
    counts = matrix.sum(axis=1)
    _, _, f1 = precision_recall_f1(matrix.diagonal(), matrix.sum(axis=0), counts)
    present = counts + matrix.sum(axis=0) > 0
    correct = predicted == targets
    of_target = probabilities[np.arange(len(targets)), targets]
    return {
        "accuracy": float(correct.mean()),
        "macro_f1": float(f1[present].mean()),
        "weighted_f1": float((f1 * counts).sum() / counts.sum()),
        "ece": expected_calibration_error(probabilities.max(axis=-1), correct),
        "log_loss": float(-np.log(np.maximum(of_target, 1e-12)).mean()),
    }


def score_multi_label(logits: Floats, targets: Targets, decoding: Decoding) -> dict[str, float]:
    """Where any number of labels hold, targets (N, n_labels) of 0 and 1.

    micro_f1, macro_f1 (over labels present in either), accuracy (all labels right), ece.
    """
    probabilities = sigmoid(logits / decoding.temperature)
    predicted, actual = probabilities >= decoding.threshold, targets > 0.5
    hits = (predicted & actual).sum(axis=0)
    n_predicted, n_actual = predicted.sum(axis=0), actual.sum(axis=0)
    _, _, f1 = precision_recall_f1(hits, n_predicted, n_actual)
    present = n_predicted + n_actual > 0
    confidences = np.where(predicted, probabilities, 1 - probabilities)
    return {
        "micro_f1": float(2 * hits.sum() / max(1, n_predicted.sum() + n_actual.sum())),
        "macro_f1": float(f1[present].mean()) if present.any() else 0.0,
        "accuracy": float((predicted == actual).all(axis=1).mean()),
        "ece": expected_calibration_error(confidences.ravel(), (predicted == actual).ravel()),
    }

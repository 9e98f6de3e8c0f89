"""Does a graph answer as it must?  Logits against logits, and which graph may serve."""

from dataclasses import dataclass

import numpy as np

from retort.errors import TrainingFailed
from retort.tasks.base import Floats

FLOAT_GRAPH, INT8_GRAPH = "model.onnx", "model.int8.onnx"
EQUAL_TOLERANCE = 1e-4
MAX_ACCURACY_DROP = 0.003
MIN_AGREEMENT = 0.99


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference`: the largest one between logits, as a share of the largest logit (or of 1, if that is larger).
    `agreement`: the share of rows for which both decide the same."""

    difference: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Which ONNX file answers by default, and why, as a sentence for the report."""

    graph: str
    reason: str


def compare_logits(expected: Floats, actual: Floats, activation: str) -> Comparison:
    """Of logits (N, n_labels), N at least 1.  Softmax decides for the largest, sigmoid for all above 0."""
    if activation == "softmax":
        same = expected.argmax(axis=-1) == actual.argmax(axis=-1)
    else:
        same = ((expected > 0) == (actual > 0)).all(axis=-1)
    scale = max(1.0, float(np.abs(expected).max()))
    return Comparison(float(np.abs(expected - actual).max()) / scale, float(same.mean()))


def check_equal(expected: Floats, actual: Floats, tolerance: float = EQUAL_TOLERANCE) -> float:
    """The largest difference between logits, as `Comparison` has it.

    Raises TrainingFailed: it is above `tolerance`, or one of them is no number.
    """
    if expected.shape != actual.shape:
        raise TrainingFailed(f"Expected the exported graph to give logits {expected.shape}, got {actual.shape}.")
    difference = compare_logits(expected, actual, "softmax").difference
    if not difference <= tolerance:  # also when it is NaN
        raise TrainingFailed(
            f"The exported graph does not answer as the trained model: logits differ by {difference:.2g} where "
            f"{tolerance} is allowed. Nothing was published."
        )
    return difference


def choose_graph(float_accuracy: float, int8_accuracy: float, agreement: float) -> Decision:
    """The 8-bit graph where it is as good, else float32.  Accuracies are the task's first score on validation rows."""
    drop = float_accuracy - int8_accuracy
    found = f"8 bits cost {100 * drop:.2f} points of validation score and keep {100 * agreement:.2f} % of the decisions"
    allowed = f"at most {100 * MAX_ACCURACY_DROP:.1f} points and at least {100 * MIN_AGREEMENT:.0f} % are asked for"
    if drop <= MAX_ACCURACY_DROP + 1e-12 and agreement >= MIN_AGREEMENT - 1e-12:
        return Decision(INT8_GRAPH, f"{found} ({allowed}), so the 8-bit graph serves: smaller and faster.")
    return Decision(FLOAT_GRAPH, f"{found} ({allowed}), so the float32 graph serves.")

"""What is published answers as what was trained; 8 bits serve only where they keep the decisions."""

import numpy as np
import pytest

from retort.errors import TrainingFailed
from retort.export.verify import check_equal, choose_graph, compare_logits

LOGITS = np.array([[1.0, 2.0, 30.0], [5.0, -1.0, 0.0]], np.float32)


def test_equal_logits_pass_and_the_difference_is_relative_to_their_scale() -> None:
    assert check_equal(LOGITS, LOGITS) == 0
    assert check_equal(LOGITS, LOGITS + 0.0015) == pytest.approx(0.00005, rel=0.01)
    assert check_equal(LOGITS / 1000, LOGITS / 1000 + 5e-5) == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize("wrong", [LOGITS + 0.01, LOGITS * np.nan, np.where(LOGITS == 30, np.inf, LOGITS)])
def test_other_logits_fail(wrong: np.ndarray) -> None:
    with pytest.raises(TrainingFailed, match="differ by"):
        check_equal(LOGITS, wrong)


def test_logits_of_another_shape_fail() -> None:
    with pytest.raises(TrainingFailed, match=r"\(2, 3\), got \(2, 2\)"):
        check_equal(LOGITS, LOGITS[:, :2])


def test_agreement_counts_rows_that_decide_the_same() -> None:
    flipped = LOGITS.copy()
    flipped[1] = [0.0, -1.0, 5.0]
    assert compare_logits(LOGITS, flipped, "softmax").agreement == 0.5
    several = LOGITS + np.array([0, -1.5, 0], np.float32)
    several[0, 1] = -0.5
    assert compare_logits(LOGITS, several, "sigmoid").agreement == 0.5


@pytest.mark.parametrize(
    ("accuracies", "agreement", "graph"),
    [
        ((0.93, 0.93), 0.995, "model.int8.onnx"),
        ((0.93, 0.927), 0.99, "model.int8.onnx"),  # both exactly at their limits
        ((0.93, 0.95), 1.0, "model.int8.onnx"),
        ((0.93, 0.926), 0.995, "model.onnx"),
        ((0.93, 0.93), 0.98, "model.onnx"),
        ((0.93, float("nan")), 1.0, "model.onnx"),
    ],
)
def test_8_bits_serve_only_where_score_and_decisions_hold(
    accuracies: tuple[float, float], agreement: float, graph: str
) -> None:
    decision = choose_graph(*accuracies, agreement)
    assert decision.graph == graph
    assert f"{100 * agreement:.2f} %" in decision.reason

import numpy as np
import pytest

from retort.tasks import TASKS, Decoding, Input
from retort.tasks.label_metrics import score_single_label
from retort.training.evaluate import evaluate

ONE, MANY = TASKS["classification"], TASKS["multi_label_classification"]
LABELS = ("bug", "idea", "praise")


def logits_of(*rows: tuple[float, ...]) -> np.ndarray:
    return np.log(np.array(rows, np.float32))


def test_one_label_a_text():
    logits = logits_of((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.9, 0.05, 0.05), (0.2, 0.5, 0.3))
    inputs = [Input(t) for t in "abcd"]
    found = evaluate(ONE, logits, np.array([0, 1, 1, 2]), Decoding(LABELS), inputs, lines=[2, 3, 5, 8])
    assert found.n == 4
    assert found.scores == score_single_label(logits, np.array([0, 1, 1, 2]), Decoding(LABELS))
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert [(s.label, s.precision, s.recall, s.support, s.n_predicted) for s in found.labels] == [
        ("bug", 0.5, 1.0, 1, 2),
        ("idea", 0.5, 0.5, 2, 2),
        ("praise", 0.0, 0.0, 1, 0),
    ]
    assert [(e.text, e.gold, e.predicted, e.line) for e in found.errors] == [
        ("c", ("idea",), ("bug",), 5),
        ("d", ("praise",), ("idea",), 8),
    ]
    assert [e.probability for e in found.errors] == pytest.approx([0.9, 0.5])


def test_the_bins_give_the_calibration_error_that_the_task_scores():
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(500, 3)).astype(np.float32), random.integers(0, 3, 500)
    for temperature in (0.3, 1.0):
        found = evaluate(ONE, logits, targets, Decoding(LABELS, temperature), [Input("x")] * 500)
        assert sum(b.n for b in found.reliability) == 500
        gaps = sum(b.n * abs(b.confidence - b.accuracy) for b in found.reliability) / 500
        assert gaps == pytest.approx(found.ece, abs=1e-6)
        assert (found.ece_before == found.ece) == (temperature == 1.0)


def test_several_labels_a_text():
    logits = np.array([[4, -4, -4], [4, 4, -4], [-4, -4, -4], [-4, -4, 3]], np.float32)
    targets = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], np.float32)
    found = evaluate(MANY, logits, targets, Decoding(LABELS), [Input(t, "!") for t in "abcd"])
    assert found.confusion.tolist() == [[[2, 0], [0, 2]], [[3, 1], [0, 0]], [[2, 0], [1, 1]]]
    assert [(s.support, s.n_predicted) for s in found.labels] == [(2, 2), (0, 1), (2, 1)]
    assert {(e.text, e.gold, e.predicted) for e in found.errors} == {
        ("b / !", ("bug",), ("bug", "idea")),
        ("c / !", ("praise",), ()),
    }
    assert sum(b.n for b in found.reliability) == 12


def test_only_the_most_confident_errors_are_kept():
    logits = np.array([[s / 10, 0, 0] for s in range(50)], np.float32)
    found = evaluate(ONE, logits, np.full(50, 1), Decoding(LABELS), [Input(str(i)) for i in range(50)], n_errors=3)
    assert [e.text for e in found.errors] == ["49", "48", "47"]


def test_nothing_to_evaluate_or_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="as many"):
        evaluate(ONE, np.zeros((0, 3), np.float32), np.zeros(0, np.int64), Decoding(LABELS), [])
    with pytest.raises(ValueError, match="2, 1, 1"):
        evaluate(ONE, np.zeros((2, 3), np.float32), np.zeros(1, np.int64), Decoding(LABELS), [Input("")])

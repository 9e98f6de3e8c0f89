"""Logits against targets become an Evaluation: what a report shows and `metrics.json` keeps.  Knows no model."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from retort.tasks.base import Decoding, Floats, Input, Targets, Task
from retort.tasks.label_metrics import score_multi_label, score_single_label
from retort.tasks.metrics import Ints, confusion_matrix, precision_recall_f1, sigmoid, softmax

N_BINS = 15  # as in `metrics.expected_calibration_error`
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How one label fared; `support` is how often it holds, `n_predicted` how often it was predicted."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    n_predicted: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Decisions whose confidence lies in [low, high): how sure they were and how often right; 0 where `n` is 0."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ConfidentError:
    """A wrong prediction.  `probability` is how sure the model was of what is wrong; `line` is that of the file."""

    text: str
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    probability: float
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one split of `n` texts.

    `confusion` counts (n_labels, n_labels), rows true and columns predicted; where several labels may hold, it is
    (n_labels, 2, 2), the same for each label by itself (false, true).  `ece_before` is at temperature 1.  Where labels
    are of spans, `confusion` has one more row and column, `nothing`, and `fates` says what became of how many spans.
    """

    n: int
    scores: dict[str, float]
    labels: tuple[LabelScore, ...]
    confusion: Ints
    reliability: tuple[ReliabilityBin, ...]
    ece_before: float
    errors: tuple[ConfidentError, ...]
    nothing: str | None = None
    fates: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the rows of `confusion`."""
        return tuple(score.label for score in self.labels) + (() if self.nothing is None else (self.nothing,))

    @property
    def ece(self) -> float:
        """Expected calibration error with the temperature applied."""
        return self.scores["ece"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model is worth: its calibration, fitted on validation rows, and both splits read with it."""

    temperature: float
    validation: Evaluation
    test: Evaluation


@dataclass(frozen=True, slots=True)
class _Reading:
    """Logits read as decisions: one a row (softmax), or one a row and label (sigmoid)."""

    confidences: Floats  # of each decision
    correct: Bools
    predicted: Bools  # (N, n_labels)
    actual: Bools  # (N, n_labels)
    confusion: Ints
    wrongness: Floats  # (N,) the highest confidence in something wrong; 0 where all is right


def evaluate(
    task: Task,
    logits: Floats,
    targets: Targets,
    decoding: Decoding,
    inputs: Sequence[Input],
    lines: Sequence[int] | None = None,
    n_errors: int = 30,
) -> Evaluation:
    """Everything measured of logits (N, n_labels), windows already averaged, on the N inputs that gave them.

    `lines` are the inputs' lines in their file; the `n_errors` most confident errors are kept.
    Raises ValueError: the lengths differ, or there is nothing to evaluate.
    """
    if not len(logits) == len(targets) == len(inputs) or not len(inputs):
        raise ValueError(f"Expected as many logits, targets as inputs: {len(logits)}, {len(targets)}, {len(inputs)}.")
    read, score = _WAYS[task.answers]
    reading = read(logits, targets, decoding)
    untempered = Decoding(decoding.labels, 1.0, decoding.threshold)
    return Evaluation(
        n=len(inputs),
        scores=score(logits, targets, decoding),
        labels=score_labels(decoding.labels, *_count_labels(reading)),
        confusion=reading.confusion,
        reliability=fill_bins(reading.confidences, reading.correct),
        ece_before=score(logits, targets, untempered)["ece"],
        errors=_pick_errors(reading, decoding.labels, inputs, lines, n_errors),
    )


def _read_softmax(logits: Floats, targets: Targets, decoding: Decoding) -> _Reading:
    probabilities = softmax(logits / decoding.temperature)
    chosen, n_labels = probabilities.argmax(axis=1), len(decoding.labels)
    confidences, correct = probabilities.max(axis=1), chosen == targets
    identity = np.eye(n_labels, dtype=np.bool_)
    return _Reading(
        confidences,
        correct,
        identity[chosen],
        identity[targets],
        confusion_matrix(targets, chosen, n_labels),
        np.where(correct, 0, confidences).astype(np.float32),
    )


def _read_sigmoid(logits: Floats, targets: Targets, decoding: Decoding) -> _Reading:
    probabilities = sigmoid(logits / decoding.temperature)
    predicted, actual = probabilities >= decoding.threshold, targets > 0.5
    confidences, correct = np.where(predicted, probabilities, 1 - probabilities), predicted == actual
    cells = [(~actual & ~predicted), (~actual & predicted), (actual & ~predicted), (actual & predicted)]
    confusion = np.stack([c.sum(axis=0) for c in cells], axis=1).reshape(-1, 2, 2).astype(np.int64)
    wrongness = np.where(correct, 0, confidences).max(axis=1).astype(np.float32)
    return _Reading(confidences.ravel(), correct.ravel(), predicted, actual, confusion, wrongness)


_WAYS = {"label": (_read_softmax, score_single_label), "labels": (_read_sigmoid, score_multi_label)}


def _count_labels(reading: _Reading) -> tuple[Ints, Ints, Ints]:
    hits = (reading.predicted & reading.actual).sum(axis=0)
    return hits, reading.predicted.sum(axis=0), reading.actual.sum(axis=0)


def score_labels(labels: Sequence[str], hits: Ints, n_predicted: Ints, support: Ints) -> tuple[LabelScore, ...]:
    """Counts (n_labels,) of what was right, predicted and true become a score for each label."""
    precision, recall, f1 = precision_recall_f1(hits, n_predicted, support)
    return tuple(
        LabelScore(label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]), int(n_predicted[i]))
        for i, label in enumerate(labels)
    )


def fill_bins(confidences: Floats, correct: Bools) -> tuple[ReliabilityBin, ...]:
    """Decisions (n,) sorted into equal-width bins of their confidence."""
    bins = np.minimum((confidences * N_BINS).astype(int), N_BINS - 1)
    counts = np.bincount(bins, minlength=N_BINS)
    confidence = np.bincount(bins, confidences, N_BINS) / np.maximum(counts, 1)
    accuracy = np.bincount(bins, correct, N_BINS) / np.maximum(counts, 1)
    return tuple(
        ReliabilityBin(i / N_BINS, (i + 1) / N_BINS, int(counts[i]), float(confidence[i]), float(accuracy[i]))
        for i in range(N_BINS)
    )


def _pick_errors(
    reading: _Reading, labels: Sequence[str], inputs: Sequence[Input], lines: Sequence[int] | None, n_errors: int
) -> tuple[ConfidentError, ...]:
    order = np.argsort(-reading.wrongness, kind="stable")
    wrong = order[(reading.predicted != reading.actual).any(axis=1)[order]][:n_errors]
    return tuple(
        ConfidentError(
            text=" / ".join(t for t in (inputs[i].text, inputs[i].text_pair) if t is not None),
            gold=tuple(itertools.compress(labels, reading.actual[i])),
            predicted=tuple(itertools.compress(labels, reading.predicted[i])),
            probability=float(reading.wrongness[i]),
            line=None if lines is None else int(lines[i]),
        )
        for i in (int(w) for w in wrong)
    )

"""A training report of any labels, from random logits: what the tests of report, card and board look at."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np

from retort.data.spans import Span
from retort.data.splits import Conflict, SplitReport
from retort.tasks import TASKS, Decoding, Input
from retort.tasks.base import Entity
from retort.training.entities import evaluate_entities
from retort.training.evaluate import Evaluation, Measured, evaluate
from retort.training.report import TrainingReport

HOSTILE = (
    "c++",
    "<script>alert(1)</script>",
    "a$b$ _^{",
    "日本語",
    "\u202egnp.exe",
    "nul\0bel\a",
    "two\nlines | pipe",
    "x" * 500,
    "- yaml: [",
    'quo"te\\',
    "😀/slash",
)


def make_evaluation(
    labels: Sequence[str], n: int = 60, task: str = "classification", text: str = "a text", sharpness: float = 2.0
) -> Evaluation:
    random = np.random.default_rng(0)
    if TASKS[task].activation == "softmax":
        targets = np.arange(n) % len(labels)
        signal = np.eye(len(labels))[targets]
    else:
        targets = signal = (random.random((n, len(labels))) < 0.4).astype(np.float32)
    logits = (random.normal(size=signal.shape) + sharpness * (2 * signal - 1)).astype(np.float32)
    inputs = [Input(text)] * n
    return evaluate(TASKS[task], logits, targets, Decoding(tuple(labels), 1.3), inputs, list(range(2, n + 2)))


def make_entity_evaluation(types: Sequence[str] = ("loc", "per"), n: int = 40, text: str = "Ada left") -> Evaluation:
    """Found in `text`, n times: its first word with the first type, and as often the rest, rightly or not."""
    cut = len(text.split()[0])
    end = len(text.rstrip())
    ways = [
        [Entity(types[0], text[:cut], 0, cut, 0.9), Entity(types[-1], text[cut + 1 : end], cut + 1, end, 0.8)],
        [Entity(types[-1], text[:cut], 0, cut, 0.7)],
        [Entity(types[0], text[:end], 0, end, 0.6)],
        [],
    ]
    golds = [[Span(0, cut, types[0])], [Span(0, cut, types[0]), Span(cut + 1, end, types[-1])]]
    return evaluate_entities(
        [golds[i % 2] for i in range(n)],
        [ways[i % 4] for i in range(n)],
        types,
        [text] * n,
        [*range(2, n + 2)],
        ece_before=0.25,
    )


def make_entity_report(
    types: Sequence[str] = ("loc", "per"), text: str = "Ada left", **changes: object
) -> TrainingReport:
    measured = Measured(1.3, *[make_entity_evaluation(types, text=text)] * 2)
    base = make_report([*types, *types][:2], text=text)
    data = replace(base.data, repaired={"train": {"entities with broken tags": 12}})
    values: dict[str, object] = {
        **{"task": "token_classification", "answers": "entities", "pipeline_tag": "token-classification"},
        "data": data,
        "variants": {"float32": measured, "int8": measured},
    }
    return replace(base, **{**values, **changes})  # type: ignore[arg-type]


def make_epoch(number: int = 1, score: float = 0.9, name: str = "accuracy") -> SimpleNamespace:
    scores = {name: score, "macro_f1": score - 0.01}
    return SimpleNamespace(number=number, step=10 * number, loss=0.5, learn_rate=5e-5, seconds=83.2, scores=scores)


def make_report(
    labels: Sequence[str] = ("java", "python"), task: str = "classification", text: str = "a text", **changes: object
) -> TrainingReport:
    measured = Measured(1.3, *[make_evaluation(labels, task=task, text=text)] * 2)
    counts = dict.fromkeys(labels, 10)
    data = SplitReport(
        counts={"train": 8000, "validation": 1000, "test": 1000},
        label_counts={"train": counts, "validation": counts, "test": counts},
        duplicates=12,
        conflicts=1,
        conflict_examples=(Conflict(text, ((labels[0],), (labels[1],)), (12, 90)),),
        leaked={"train": 7},
        dropped={"train": {"empty text": 3, "no label": 5}},
    )
    values: dict[str, object] = {
        "model": "minilm",
        "family": "BERT",
        "task": task,
        "created": datetime(2026, 1, 6, 22, 6, 23, tzinfo=UTC),
        "data": data,
        "files": {"train": "questions.csv", "validation": "set aside", "test": "set aside"},
        "truncated": {"train": 14},
        "variants": {"float32": measured, "int8": measured},
        "served": "int8",
        "reason": "8 bits cost nothing, so the 8-bit graph serves.",
        "history": [make_epoch(1, 0.9), make_epoch(2, 0.93)],
        "best_epoch": 2,
        "settings": {"seed": 0, "n_epochs": 2},
        "command": "retort train --data questions.csv --seed 0",
        "versions": {"retort": "0.1.0"},
        "device": "No GPU was found.",
        "seconds": {"read": 0.25, "fine-tune": 412.0},
        "examples_per_s": 46.25,
        "peak_rss_mb": 1834.25,
    }
    return TrainingReport(**{**values, **changes})  # type: ignore[arg-type]

"""Everything that one training found out becomes `report.html`, one file that needs no network, and `metrics.json`.

Texts and labels come from strangers: the template escapes all of them, and what would not show is spelled out.
"""

import base64
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from retort.data.splits import SplitReport
from retort.durations import format_seconds
from retort.tasks.metrics import Ints
from retort.training.charts import draw_confusion, draw_learning_curves, draw_reliability
from retort.training.evaluate import LabelScore, Measured

if TYPE_CHECKING:  # the trainer is TensorFlow's, a report is not
    from retort.training.trainer import Epoch

MAX_TEXT, MAX_LABEL = 600, 80  # characters shown
N_CONFUSIONS = 15


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One training in plain values.

    `float32` and `int8` are what the exported graphs are worth, and `served`, one of these two words, is the one that
    answers, for the `reason`.  `files` says where each split came from; `truncated` how many of its texts were cut.
    """

    model: str  # the encoder, as the command named it
    family: str
    task: str
    created: datetime
    data: SplitReport
    files: Mapping[str, str]
    truncated: Mapping[str, int]
    float32: Measured
    int8: Measured | None
    served: str
    reason: str
    history: Sequence["Epoch"]  # empty where only a head was fitted
    best_epoch: int
    settings: Mapping[str, object]
    command: str
    versions: Mapping[str, str]
    device: str
    seconds: Mapping[str, float]  # stage -> s
    examples_per_s: float
    peak_rss_mb: float

    @property
    def measured(self) -> Measured:
        """What the served graph is worth."""
        return self.int8 if self.served == "int8" and self.int8 else self.float32


def write_report(path: Path, report: TrainingReport) -> None:
    """Write `report` as HTML; half of a surrogate pair, as a command line may hold, becomes a question mark."""
    source = resources.files("retort.training").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"shown": shown, "percent": _percent, "duration": format_seconds, "names": _names}
    page = environment.from_string(source).render(r=report, m=report.measured, **_pictures(report), **_tables(report))
    path.write_text(page, encoding="utf-8", errors="replace")


def build_metrics(report: TrainingReport) -> dict[str, Any]:
    """What `metrics.json` holds: both splits' scores in float32, the same of the 8-bit graph, and what it cost."""
    found: dict[str, Any] = _scores(report.float32)
    if report.int8:
        found["int8"] = _scores(report.int8)
    return found | {
        "served": report.served,
        "peak_rss_mb": round(report.peak_rss_mb, 1),
        "examples_per_second": round(report.examples_per_s, 2),
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
    }


def shown(text: str, limit: int = MAX_TEXT) -> Markup:
    """A stranger's text, at most `limit` characters of it, escaped and isolated; characters that would not show, or
    would turn the text around them, are spelled out."""
    kept = "".join(_spell(c) for c in text[:limit])
    more = Markup(' <span class="more">… {:,} characters more</span>').format(len(text) - limit)
    return Markup("<bdi>{}</bdi>{}").format(kept, more if len(text) > limit else "")


def _spell(character: str) -> str:
    if character in "\n\t\u200d" or unicodedata.category(character)[0] != "C":  # joiners make emoji
        return character
    return f"[U+{ord(character):04X}]"


def _scores(measured: Measured) -> dict[str, Any]:
    parts = {"validation": measured.validation, "test": measured.test}
    return {
        **{name: {**e.scores, "ece_before_calibration": e.ece_before, "n": e.n} for name, e in parts.items()},
        "temperature": measured.temperature,
    }


def _pictures(report: TrainingReport) -> dict[str, Any]:
    test, score = report.measured.test, next(iter(report.measured.validation.scores))
    losses, scores = [e.loss for e in report.history], [e.scores.get(score, 0.0) for e in report.history]
    curves = draw_learning_curves(losses, scores, score, report.best_epoch) if report.history else ""
    return {
        "confusion_png": base64.b64encode(draw_confusion(test)).decode(),
        "curves": Markup(curves),  # noqa: S704 - drawn by us
        "reliability": Markup(draw_reliability(test.reliability, "test split, calibrated")),  # noqa: S704
        "score_name": score,
    }


def _tables(report: TrainingReport) -> dict[str, Any]:
    test, counts = report.measured.test, report.data.label_counts
    rows = [(s, [counts[split].get(s.label, 0) for split in ("train", "validation", "test")]) for s in test.labels]
    seen = [row for row in rows if row[0].support or row[0].n_predicted]
    compared = [("float32", report.float32), ("8 bits", report.int8)]
    return {
        "labels": rows,
        "weakest": sorted(seen, key=lambda row: row[0].f1)[:10] if len(rows) > 20 else [],
        "confusions": _confusions(test.confusion, test.labels),
        "compared": [(name, measured) for name, measured in compared if measured],
        "splits": [(name, _source(report, name)) for name in ("train", "validation", "test")],
        "total_s": sum(report.seconds.values()),
    }


def _source(report: TrainingReport, split: str) -> dict[str, Any]:
    return {
        "file": report.files.get(split, ""),
        "rows": report.data.counts.get(split, 0),
        "dropped": report.data.dropped.get(split, {}),
        "leaked": report.data.leaked.get(split, 0),
        "truncated": report.truncated.get(split, 0),
    }


def _confusions(confusion: Ints, labels: Sequence[LabelScore]) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: true label, predicted label, how often."""
    if confusion.ndim != 2:
        return []
    wrong = confusion * (1 - np.eye(len(labels), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSIONS]
    pairs = [divmod(int(i), len(labels)) for i in order]
    return [(labels[t].label, labels[p].label, int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def _names(labels: Sequence[str]) -> Markup:
    """Labels, each isolated; a dash for none."""
    return Markup(", ").join(shown(label, MAX_LABEL) for label in labels) or Markup("<i>none</i>")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

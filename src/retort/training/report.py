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
from retort.tasks.base import Kind
from retort.tasks.metrics import Ints
from retort.training.charts import draw_confusion, draw_learning_curves, draw_reliability
from retort.training.evaluate import Measured

if TYPE_CHECKING:  # the trainer is TensorFlow's, a report is not
    from retort.training.entities import Piece
    from retort.training.trainer import Epoch

MAX_TEXT, MAX_LABEL = 600, 80  # characters shown
N_CONFUSIONS = 15
_FILES = resources.files("retort.training")
SHOWN_NAMES = {"int8": "8 bits"}


@dataclass(frozen=True, slots=True)
class Page:
    """What is said differently of different kinds of task."""

    template: str
    labels: str
    by_label: str
    headlines: tuple[str, ...]  # scores on top of the page
    start: str  # of the head
    decisions: str
    right: str


_LABELS = Page(
    template="report.html",
    labels="labels",
    by_label="Label by label",
    headlines=("accuracy", "macro_f1", "micro_f1"),
    start=" The head started from a logistic regression on the frozen encoder.",
    decisions="decisions",
    right="right",
)
PAGES: Mapping[Kind, Page] = {
    "label": _LABELS,
    "labels": _LABELS,
    "entities": Page(
        template="report_entities.html",
        labels="types of entities",
        by_label="Type by type",
        headlines=("f1", "precision", "recall"),
        start="",
        decisions="entities",
        right="exactly right",
    ),
}


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One training in plain values.

    `variants` says what each way to compute the model is worth, `float32` and those that were tried to be faster
    (`int8`, `bfloat16`); `served` is the one that answers, for the `reason`.  `files` says where each split came from;
    `truncated` how many of its texts were cut.
    """

    model: str  # the encoder, as the command named it
    family: str
    task: str
    created: datetime
    data: SplitReport
    files: Mapping[str, str]
    truncated: Mapping[str, int]
    variants: Mapping[str, Measured]
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
    answers: Kind = "label"
    pipeline_tag: str = "text-classification"  # what the hub calls this kind of task

    @property
    def measured(self) -> Measured:
        """What the served graph is worth."""
        return self.variants[self.served]


def write_report(path: Path, report: TrainingReport) -> None:
    """Write `report` as HTML; half of a surrogate pair, as a command line may hold, becomes a question mark."""
    loader = jinja2.FunctionLoader(lambda name: _FILES.joinpath(name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"shown": shown, "marked": marked, "names": _names}
    environment.filters |= {"percent": _percent, "duration": format_seconds}
    words = PAGES[report.answers]
    template = environment.get_template(words.template)
    page = template.render(r=report, m=report.measured, words=words, **_pictures(report), **_tables(report))
    path.write_text(page, encoding="utf-8", errors="replace")


def build_metrics(report: TrainingReport) -> dict[str, Any]:
    """What `metrics.json` holds: both splits' scores in float32, the same of what else was tried, and what it cost."""
    others = {name: _scores(measured) for name, measured in report.variants.items() if name != "float32"}
    return {
        **_scores(report.variants["float32"]),
        **others,
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


def marked(pieces: Sequence["Piece"]) -> Markup:
    """A stranger's text with what is an entity, and what was found, marked; each piece is shown up to the limit."""
    classes = {(True, False): "gold", (False, True): "found", (True, True): "gold found"}
    parts = []
    for piece in pieces:
        name = classes.get((piece.is_gold, piece.is_predicted))
        kept = "".join(_spell(c) for c in piece.text[:MAX_TEXT]) + "…" * (len(piece.text) > MAX_TEXT)
        parts.append(Markup('<span class="{}">{}</span>').format(name, kept) if name else Markup("{}").format(kept))
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


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
    return {
        "labels": rows,
        "weakest": sorted(seen, key=lambda row: row[0].f1)[:10] if len(rows) > 20 else [],
        "confusions": _confusions(test.confusion, test.names),
        "compared": [(SHOWN_NAMES.get(name, name), measured) for name, measured in report.variants.items()],
        "splits": [(name, _source(report, name)) for name in ("train", "validation", "test")],
        "total_s": sum(report.seconds.values()),
        "served": SHOWN_NAMES.get(report.served, report.served),
    }


def _source(report: TrainingReport, split: str) -> dict[str, Any]:
    return {
        "file": report.files.get(split, ""),
        "rows": report.data.counts.get(split, 0),
        "dropped": report.data.dropped.get(split, {}),
        "leaked": report.data.leaked.get(split, 0),
        "repaired": report.data.repaired.get(split, {}),
        "truncated": report.truncated.get(split, 0),
    }


def _confusions(confusion: Ints, labels: Sequence[str]) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: true label, predicted label, how often."""
    if confusion.ndim != 2:
        return []
    wrong = confusion * (1 - np.eye(len(labels), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSIONS]
    pairs = [divmod(int(i), len(labels)) for i in order]
    return [(labels[t], labels[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def _names(labels: Sequence[str]) -> Markup:
    """Labels, each isolated; a dash for none."""
    return Markup(", ").join(shown(label, MAX_LABEL) for label in labels) or Markup("<i>none</i>")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

"""What a training found out becomes the model card: `README.md` with the YAML header that model hubs read."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from retort.tasks.base import Kind
from retort.training.evaluate import Evaluation
from retort.training.report import TrainingReport

# The hub's names of the encoders in our catalogue.
BASE_MODELS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "uncased_L-12_H-768_A-12": "google-bert/bert-base-uncased",
    "uncased_L-24_H-1024_A-16": "google-bert/bert-large-uncased",
    "cased_L-12_H-768_A-12": "google-bert/bert-base-cased",
    "cased_L-24_H-1024_A-16": "google-bert/bert-large-cased",
    "multi_cased_L-12_H-768_A-12": "google-bert/bert-base-multilingual-cased",
    "wwm_uncased_L-24_H-1024_A-16": "google-bert/bert-large-uncased-whole-word-masking",
    "wwm_cased_L-24_H-1024_A-16": "google-bert/bert-large-cased-whole-word-masking",
    **{f"albert_{size}_v2": f"albert/albert-{size}-v2" for size in ("base", "large", "xlarge", "xxlarge")},
}
HUB_METRICS = {  # ours -> the hub's type of metric
    **{"f1": "f1", "precision": "precision", "recall": "recall"},
    **{"accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1"},
}
N_LABELS, MAX_LABEL = 200, 80


class Words(NamedTuple):
    """What is said differently of different kinds of task."""

    auto_model: str
    labels: str
    heading: str
    label: str
    counted: str
    limits: str
    errors: str


_LABELS = Words(
    auto_model="AutoModelForSequenceClassification",
    labels="labels",
    heading="Labels",
    label="label",
    counted="texts",
    limits="It knows the labels above and no others: a text about something else gets one of them too.",
    errors="most confident",
)
WORDS: Mapping[Kind, Words] = {
    "label": _LABELS,
    "labels": _LABELS,
    "entities": Words(
        auto_model="AutoModelForTokenClassification",
        labels="types of entities",
        heading="Types of entities",
        label="type",
        counted="entities",
        limits="It finds entities of the types above and no others; one is right where both ends and its type are.",
        errors="commonest",
    ),
}


def build_card(report: TrainingReport) -> str:
    """Markdown; strangers' words in it are quoted, so that they stay words."""
    return "\n".join([*_header(report), "", *_body(report), ""])


def quote(text: str) -> str:
    """A YAML double-quoted scalar in plain ASCII."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\<>' else f"\\U{ord(c):08X}" for c in text) + '"'


def cell(text: str, limit: int = MAX_LABEL) -> str:
    """A stranger's text as one cell of a Markdown table: no markup of it is alive."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return "".join(f"&#{ord(c)};" if c in r"""|<>&`*_[]{}()#!\~"'$:@""" else c for c in line)


def _header(report: TrainingReport) -> Iterable[str]:
    test = report.measured.test
    base = BASE_MODELS.get(report.model)
    yield "---"
    yield "license: unknown"
    yield "library_name: transformers"
    yield f"pipeline_tag: {report.pipeline_tag}"
    if base:
        yield f"base_model: {quote(base)}"
    yield "tags:"
    yield from (f"- {tag}" for tag in (report.family.lower(), report.pipeline_tag, "onnx", "retort"))
    yield "metrics:"
    yield from (f"- {metric}" for metric in dict.fromkeys(HUB_METRICS[n] for n in test.scores if n in HUB_METRICS))
    yield "model-index:"
    yield f"- name: {quote(report.model)}"
    yield "  results:"
    yield "  - task:"
    yield f"      type: {report.pipeline_tag}"
    yield "    dataset:"
    yield f"      name: {quote(report.files.get('test', 'test split'))}"
    yield "      type: text"
    yield "      split: test"
    yield "    metrics:"
    for name, metric in HUB_METRICS.items():
        if name in test.scores:
            yield f"    - type: {metric}"
            yield f"      name: {quote(name.replace('_', ' '))}"
            yield f"      value: {test.scores[name]:.4f}"
    yield "---"


def _body(report: TrainingReport) -> Iterable[str]:
    measured, counts, words = report.measured, report.data.counts, WORDS[report.answers]
    yield f"# {cell(report.model)}, fine-tuned"
    yield ""
    yield (
        f"A {report.family} model for {report.task.replace('_', ' ')} with {len(measured.test.labels)} {words.labels}, "
        f"trained on {counts.get('train', 0):,} texts on {report.created:%Y-%m-%d}. It serves with Retort "
        f"(`retort serve`) and loads in `transformers` (`{words.auto_model}`), unless `config.json` says "
        '`"transformers_compatible": false`.'
    )
    yield ""
    yield "## How good it is"
    yield ""
    yield "| split | texts | " + " | ".join(n.replace("_", " ") for n in measured.test.scores) + " |"
    yield "|---|---:|" + "---:|" * len(measured.test.scores)
    yield _score_row("validation", measured.validation)
    yield _score_row("test", measured.test)
    yield ""
    yield (
        "The validation split chose the epoch, the temperature and the graph that serves; the test split chose "
        f"nothing. Probabilities are calibrated: divide the logits by {measured.temperature:.4f} first. {report.reason}"
    )
    yield ""
    yield f"## {words.heading}"
    yield ""
    yield f"| {words.label} | F1 | precision | recall | {words.counted} in test |"
    yield "|---|---:|---:|---:|---:|"
    for s in measured.test.labels[:N_LABELS]:
        yield f"| {cell(s.label)} | {s.f1:.3f} | {s.precision:.3f} | {s.recall:.3f} | {s.support} |"
    if len(measured.test.labels) > N_LABELS:
        yield f"\n{len(measured.test.labels) - N_LABELS} more are in `report.html`."
    yield ""
    yield "## Limits"
    yield ""
    yield (
        f"{words.limits} Scores hold for texts like those of the test split. `report.html` shows the data, the "
        f"{words.errors} errors and how to reproduce this model."
    )


def _score_row(split: str, evaluation: Evaluation) -> str:
    return f"| {split} | {evaluation.n:,} | " + " | ".join(f"{v:.4f}" for v in evaluation.scores.values()) + " |"

"""A labelled file and a model become scores: what `retort evaluate` runs.  The graph that serves is what is scored."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retort.artifact import Artifact
from retort.choices import choose_artifact
from retort.config import EvaluateSettings
from retort.data.dataset import READERS
from retort.data.readers import Row, Table
from retort.engine.batcher import BatchLimits
from retort.engine.loading import load_predictor
from retort.errors import BadData, BadUsage
from retort.training.evaluate import Evaluation
from retort.training.part import build_part

N_SHOWN = 10


def evaluate(file: Path, settings: EvaluateSettings, say: Callable[[str], None]) -> tuple[Artifact, Evaluation]:
    """Score a model on the rows whose labels it knows; `say` is told of the others.

    Raises BadData, BadUsage, UnknownModel, BadArtifact.
    """
    artifact = choose_artifact(settings.models_dir, settings.model)
    read, labels = READERS[artifact.task.gold], artifact.task.labels_of(artifact.served.labels)
    table = read(file, settings.text_column, settings.text_pair_column, settings.label_column)
    rows = _choose_rows(table, artifact, set(labels), say)
    if "text_pair" in table.columns and artifact.served.fixed_length:
        raise BadUsage(f"{artifact.path} reads no pairs; give --text-column to score single texts of {file}.")
    predictor = load_predictor(artifact, settings.n_threads, BatchLimits(max_waiting_tokens=2**40))
    try:
        part = build_part(artifact.task, rows, lambda given: artifact.served.encode(given, predictor.tokenizer), labels)
        return artifact, part.evaluate(part.run(predictor.logits), artifact.served.decoding)
    finally:
        predictor.close()


def describe(evaluation: Evaluation) -> str:
    """Scores, then a line for each label, for people."""
    scores = " · ".join(f"{name} {value:.4f}" for name, value in evaluation.scores.items())
    width = max(len(score.label) for score in evaluation.labels)
    lines = [f"{evaluation.n:,} rows · {scores}", f"{'label':<{width}}  precision  recall      f1  support  predicted"]
    lines += [
        f"{s.label:<{width}}  {s.precision:9.4f}  {s.recall:6.4f}  {s.f1:6.4f}  {s.support:7}  {s.n_predicted:9}"
        for s in evaluation.labels
    ]
    return "\n".join(lines)


def to_json(artifact: Artifact, evaluation: Evaluation) -> dict[str, Any]:
    """The same for machines."""
    labels = [asdict(score) for score in evaluation.labels]
    return {"model": artifact.version, "n_rows": evaluation.n, "scores": evaluation.scores, "labels": labels}


def _choose_rows(table: Table, artifact: Artifact, known: set[str], say: Callable[[str], None]) -> list[Row]:
    strange = Counter(label for row in table.rows for label in set(row.labels) - known)
    rows = [row for row in table.rows if known.issuperset(row.labels)]
    if strange:
        names = ", ".join(f"{label!r}" for label, _ in strange.most_common(N_SHOWN))
        say(f"Left out: {len(table.rows) - len(rows):,} with labels that the model does not know: {names}.")
    for reason, count in table.dropped.items():
        say(f"Left out: {count:,} with {reason}.")
    for reason, count in table.repaired.items():
        say(f"Mended: {count:,} {reason}.")
    if not rows:
        raise BadData(f"{table.path} has no row whose labels the model knows: {', '.join(sorted(known)[:N_SHOWN])}.")
    if artifact.task.answers == "label" and (odd := next((r for r in rows if len(r.labels) != 1), None)):
        raise BadData(f"{table.path}, line {odd.line}: expected one label, as the model gives, got {len(odd.labels)}.")
    return rows

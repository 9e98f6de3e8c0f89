"""Rows and answers meet: which columns are the text, what each row asks, and what is written beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from retort.data.columns import choose_columns
from retort.data.formats import ABSENT, Record
from retort.data.parquet_writer import Added
from retort.data.parquet_writer import Kind as Column
from retort.data.writers import free_names
from retort.engine.predictor import Answer
from retort.errors import InferenceFailed, InvalidInput
from retort.tasks.base import Input, Kind, Prediction, Task, round_probability

# What the columns of prediction and probability hold.
HELD: dict[Kind, tuple[Column, Column]] = {
    "label": ("string", "number"),
    "labels": ("strings", "numbers"),
    "entities": ("entities", "numbers"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the input: what to predict on, or the sentence that says why that cannot be."""

    record: Record
    given: Input | str


class Columns:
    """The columns of one input and of its output.

    `roles`: role -> name of the input's column.  `names` are the input's, `kept` what they are called in the output;
    `added` follow them.
    """

    def __init__(self, names: Sequence[str], text: str | None, text_pair: str | None, top_k: int | None) -> None:
        """Raises BadData, listing the columns present: none can be the text."""
        self.roles = choose_columns(names, text, text_pair, with_label=False)
        self.names = list(names)
        self.top_k = top_k
        wanted = ["prediction", "probability", *(["top"] if top_k else []), "error"]
        self.kept = free_names(self.names)
        self.added = free_names(wanted, self.kept)
        self.renamed = [
            f"{old!r} as {new!r}"
            for old, new in zip([*self.names, *wanted], [*self.kept, *self.added], strict=True)
            if old != new
        ]

    def describe_added(self, answers: Kind) -> list[Added]:
        """The added columns with what they hold, where a model's answers are of this kind."""
        prediction, probability = HELD[answers]
        kinds = [Added(self.added[0], prediction), Added(self.added[1], probability)]
        ranking = [Added(self.added[2], "ranking")] if self.top_k else []
        return [*kinds, *ranking, Added(self.added[-1], "string")]

    def read(self, record: Record, wanted: Sequence[str], task: Task) -> Row:
        """What a record, which has the `wanted` columns, asks of a model."""
        if record.fault is not None:
            return Row(record, f"line {record.line}: {record.fault}")
        fields: dict[str, object] = {}
        for role, name in self.roles.items():
            value = record.values[wanted.index(name)]
            if value is None or value is ABSENT or (isinstance(value, str) and not value.strip()):
                return Row(record, f"{name!r} is empty")
            if not isinstance(value, str):
                return Row(record, f"expected {name!r} to be a string, got {type(value).__name__}")
            fields[role] = value
        try:
            return Row(record, task.parse(fields))
        except InvalidInput as e:
            return Row(record, str(e))

    def values(self, record: Record) -> Sequence[object]:
        """The input's columns; a row that cannot be read stands, as it is, where the text would."""
        if record.fault is None:
            return record.values
        return [record.raw if name == self.roles["text"] else ABSENT for name in self.names]

    def results(self, found: Answer | str) -> list[object]:
        """The added columns: the prediction, or what stands in its way."""
        if isinstance(found, str) or found.prediction is None:
            why = found if isinstance(found, str) else _explain(found.failure)
            return [ABSENT] * (len(self.added) - 1) + [why]
        return [*_show(found.prediction, self.top_k), ABSENT]


def _show(prediction: Prediction, top_k: int | None) -> list[object]:
    shown: list[object] = [prediction.answer, round_probability(prediction.probability)]
    if top_k:
        ranked = prediction.ranked[:top_k]
        shown.append([{"label": label, "probability": round_probability(each)} for label, each in ranked])
    return shown


def _explain(failure: Exception | None) -> str:
    """One line; the runtime's own errors have many."""
    if isinstance(failure, InferenceFailed) or failure is None:
        return str(failure or "the model gave no answer")
    return f"the model cannot run on this: {' '.join(str(failure).split())[:200]}"

"""What a task is: the meaning of one kind of problem, from fields to prediction.  Knows no model, no file, no HTTP.

CSV row / JSON body --parse--> Input --encode--> [Encoding, ...] ... logits --decode--> Prediction
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from retort.config import LongText
from retort.errors import InvalidInput
from retort.tasks.chain import Chain
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer

Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[Any]
Fields = Mapping[str, object]
Kind = Literal["label", "labels", "entities"]  # one label, any number of them, parts of the text
Gold = Sequence[Any]  # what is true of one input: its labels, or the spans in it


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to predict on: a text, or a pair of texts."""

    text: str
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How logits are read: the labels in the order of the logits, and what training found out."""

    labels: tuple[str, ...]
    temperature: float = 1.0
    threshold: float = 0.5  # multi-label: a label is predicted from this probability on
    chain: Chain | None = None  # tags: how likely one follows another; without it all legal ones are equal


class Prediction(Protocol):
    """The answer for one input.  `label` and `probability` are lists of them where there may be several or none."""

    @property
    def label(self) -> str | list[str]:
        """What holds of the input."""

    @property
    def probability(self) -> float | list[float]:
        """How sure that is, for each label."""

    @property
    def ranked(self) -> Sequence[tuple[str, float]]:
        """Labels with their probabilities, the most probable first."""

    @property
    def answer(self) -> Any:
        """All that is to be said, ready for JSON."""

    @property
    def row(self) -> dict[str, Any]:
        """The same as an object, ready for JSON, that always has `label` and `probability`."""

    @property
    def summary(self) -> Any:
        """The same without what the user wrote, ready for JSON: a log line may hold it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelPrediction:
    """Labels of the input as a whole.

    `probabilities` (n_labels,) has one for each of `labels`, and so has `logits`, which they were made of: calibrated.
    """

    label: str | list[str]
    probability: float | list[float]
    probabilities: Floats
    labels: tuple[str, ...]
    logits: Floats

    @property
    def ranked(self) -> tuple[tuple[str, float], ...]:
        """Every label with its probability, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return tuple((self.labels[i], float(self.probabilities[i])) for i in order)

    @property
    def answer(self) -> str | list[str]:
        """The label, or the list of them."""
        return self.label

    @property
    def row(self) -> dict[str, Any]:
        """Label and probability, or lists of them."""
        return {"label": self.label, "probability": round_probability(self.probability)}

    @property
    def summary(self) -> str | list[str]:
        """The same: labels are ours, not the user's."""
        return self.label


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of a text that was found: `text` is its `[start:end]`, in characters."""

    label: str
    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class EntityPrediction:
    """The entities of a text, in their order; perhaps none."""

    entities: tuple[Entity, ...]

    @property
    def label(self) -> list[str]:
        """What each entity is."""
        return [entity.label for entity in self.entities]

    @property
    def probability(self) -> list[float]:
        """How sure it is that exactly this is an entity, and one of this kind."""
        return [entity.probability for entity in self.entities]

    @property
    def ranked(self) -> tuple[tuple[str, float], ...]:
        """Label and probability of each entity, the most probable first."""
        return tuple(sorted(zip(self.label, self.probability, strict=True), key=lambda pair: -pair[1]))

    @property
    def answer(self) -> list[dict[str, Any]]:
        """An object for each entity."""
        return [asdict(e) | {"probability": round_probability(e.probability)} for e in self.entities]

    @property
    def row(self) -> dict[str, Any]:
        """Labels and probabilities, and the entities that they are of."""
        return {"label": self.label, "probability": round_probability(self.probability), "entities": self.answer}

    @property
    def summary(self) -> dict[str, int]:
        """How many there are of each kind."""
        return dict(Counter(self.label))


class Task(Protocol):
    """One entry of `TASKS`."""

    name: str
    head: str  # which of `model.heads.HEADS` it needs
    activation: str  # "softmax" (one label holds) or "sigmoid" (each label by itself)
    problem_type: str  # the Hugging Face name of the same
    pipeline_tag: str  # what the hub calls this kind of task
    answers: Kind  # what its predictions are
    gold: str  # which of `data.readers.READERS` reads what it learns from
    long_text: LongText  # what becomes of longer texts, unless somebody says otherwise

    def suit(self, multi_label: bool) -> "Task":
        """The task for data whose rows may (or may not) have any number of labels: itself or a relative."""

    def label_names(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The names of the logits of a model that is to tell these `labels` of the data apart."""

    def labels_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The labels of the data that a model with logits of these names tells apart: the opposite of `label_names`."""

    def parse(self, fields: Fields) -> Input:
        """Fields `text` and perhaps `text_pair` become an Input.

        Raises InvalidInput: a field is missing, no string, or not encodable as UTF-8; there are two texts where the
        task knows one.
        """

    def encode(
        self, inputs: Sequence[Input], tokenizer: Tokenizer, max_seq_len: int, long_text: LongText
    ) -> list[list[Encoding]]:
        """The encodings of each input, at least one each."""

    def join(self, encodings: Sequence[Encoding], rows: Sequence[Floats]) -> Floats:
        """What a model gave for each encoding of one input becomes what it gave for the input: logits (n_labels,), or
        (n_words, n_labels) where words are labelled; features likewise."""

    def decode(self, given: Input, encodings: Sequence[Encoding], logits: Floats, decoding: Decoding) -> Prediction:
        """An input's joined logits become its prediction."""

    def targets(self, golds: Sequence[Gold], encodings: Sequence[Sequence[Encoding]], labels: Sequence[str]) -> Any:
        """What is true of each input, as `join` gives it: (N,) int, (N, n_labels) of 0 and 1, or for each input
        (n_words,) int.  `labels` are `label_names`."""

    def spread(self, targets: Targets, encodings: Sequence[Encoding]) -> list[Targets]:
        """What is true of one input becomes what is to be learned from each of its encodings: the opposite of `join`.
        Where words are labelled (T,) int, -1 at tokens that have no label."""


def parse_text(fields: Fields, name: str) -> str:
    """A field that must be a string of real characters.  Raises InvalidInput."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"Expected `{name}` to be a string, got {type(value).__name__}.")
    try:
        value.encode()  # much faster than looking at each character
    except UnicodeEncodeError as e:
        raise InvalidInput(f"`{name}` holds a lone surrogate, which is no character; send valid Unicode.") from e
    return value


def round_probability(probability: Any) -> Any:
    """To six digits, which is all that float32 holds; a number, or a list of them."""
    return [round_probability(p) for p in probability] if isinstance(probability, list) else round(probability, 6)

"""What a task is: the meaning of one kind of problem, from fields to prediction.  Knows no model, no file, no HTTP.

CSV row / JSON body --parse--> Input --encode--> [Encoding, ...] ... logits --decode--> Prediction
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from retort.config import LongText
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer

Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[Any]
Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to predict on: a text, or a pair of texts."""

    text: str
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How logits are read: the labels in the order of the logits, and what calibration found."""

    labels: tuple[str, ...]
    temperature: float = 1.0
    threshold: float = 0.5  # multi-label: a label is predicted from this probability on


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer for one input.

    `label` and `probability` are a string and a number, or lists of them where several labels may hold at once.
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


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of a text that was found: `text` is its `[start:end]`, in characters."""

    label: str
    text: str
    start: int
    end: int
    probability: float


class Task(Protocol):
    """One entry of `TASKS`."""

    name: str
    head: str  # which of `model.heads.HEADS` it needs
    activation: str  # "softmax" (one label holds) or "sigmoid" (each label by itself)
    problem_type: str  # the Hugging Face name of the same

    def suit(self, multi_label: bool) -> "Task":
        """The task for data whose rows may (or may not) have any number of labels: itself or a relative."""

    def parse(self, fields: Fields) -> Input:
        """Fields `text` and perhaps `text_pair` become an Input.

        Raises InvalidInput: a field is missing, no string, or not encodable as UTF-8.
        """

    def encode(
        self, inputs: Sequence[Input], tokenizer: Tokenizer, max_seq_len: int, long_text: LongText
    ) -> list[list[Encoding]]:
        """The encodings of each input, at least one each."""

    def decode(self, logits: Floats, decoding: Decoding) -> Prediction:
        """Logits (n_encodings, n_labels) of one input become its prediction."""

    def targets(self, golds: Sequence[Sequence[str]], labels: Sequence[str]) -> Targets:
        """The labels of each input become what the loss takes: (N,) int, or (N, n_labels) of 0 and 1."""

    def score(self, logits: Floats, targets: Targets, decoding: Decoding) -> dict[str, float]:
        """Logits (N, n_labels), windows already averaged, against targets.  The first key selects the best epoch."""

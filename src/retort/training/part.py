"""One split as a model sees it: rows become inputs, encodings and targets, and logits become an evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from retort.data.readers import Row
from retort.tasks import Decoding, Entity, EntityPrediction, Input, Task
from retort.tasks.base import Floats, Kind, Targets
from retort.tasks.token_classification import chain_of
from retort.tokenization.encoding import Encoding
from retort.training.calibrate import fit_chain_temperature, fit_temperature
from retort.training.entities import calibration_error, evaluate_entities
from retort.training.evaluate import Evaluation, evaluate


@dataclass(frozen=True)
class Part:
    """One split as a model sees it.  `labels` are the data's, of which the task makes names of logits."""

    task: Task
    rows: Sequence[Row]
    inputs: Sequence[Input]
    encodings: Sequence[Sequence[Encoding]]
    labels: Sequence[str]
    targets: Any  # as `Task.targets` gives them

    @property
    def n_truncated(self) -> int:
        """Inputs of which something was left out."""
        return sum(any(e.truncated for e in windows) for windows in self.encodings)

    @property
    def flat_encodings(self) -> list[Encoding]:
        """Input after input."""
        return [encoding for windows in self.encodings for encoding in windows]

    @property
    def flat_targets(self) -> Targets:
        """Of each decision: (N,) or (N, n_labels) for N inputs, (N,) for N words where words are labelled."""
        return np.concatenate(self.targets) if isinstance(self.targets, list) else self.targets

    @property
    def spread_targets(self) -> list[Targets]:
        """What is to be learned from each of `flat_encodings`."""
        both = zip(self.targets, self.encodings, strict=True)
        return [learned for target, windows in both for learned in self.task.spread(target, windows)]

    def sample(self, n_decisions: int, seed: int) -> "Part":
        """Texts drawn at random, so many that about `n_decisions` are to be made on them; all where there are fewer."""
        order = np.random.default_rng(seed).permutation(len(self.rows))
        sizes = [len(target) for target in self.targets] if isinstance(self.targets, list) else [1] * len(order)
        n_texts = int(np.searchsorted(np.cumsum(np.asarray(sizes)[order]), n_decisions)) + 1
        if n_texts >= len(order):
            return self
        kept = np.sort(order[:n_texts])

        def pick(values: Sequence[Any]) -> list[Any]:
            return [values[i] for i in kept]

        targets = pick(self.targets) if isinstance(self.targets, list) else self.targets[kept]
        return replace(
            self,
            rows=pick(self.rows), inputs=pick(self.inputs), encodings=pick(self.encodings), targets=targets,
        )  # fmt: skip

    def run(self, model: Callable[[Sequence[Encoding]], Sequence[Floats]]) -> list[Floats]:
        """Logits or features of each input, from what a model gives for encodings."""
        rows = model(self.flat_encodings)
        ends = accumulate(map(len, self.encodings), initial=0)
        return [self.task.join(e, rows[a:b]) for e, (a, b) in zip(self.encodings, pairwise(ends), strict=True)]

    def evaluate(self, logits: Sequence[Floats], decoding: Decoding) -> Evaluation:
        """What each input's logits are worth."""
        return _MEASURES[self.task.answers].evaluate(self, logits, decoding)

    def fit_temperature(self, logits: Sequence[Floats], decoding: Decoding) -> float:
        """What each input's logits are to be divided by for probabilities to mean what they say."""
        return _MEASURES[self.task.answers].fit_temperature(self, logits, decoding)

    def agreement(self, expected: Sequence[Floats], found: Sequence[Floats], decoding: Decoding) -> float:
        """The share of decisions, on a text or on a word, that are the same."""
        decide = _MEASURES[self.task.answers].decide
        same = decide(self, expected, decoding) == decide(self, found, decoding)
        return float(same.reshape(len(same), -1).all(axis=1).mean())


def build_part(
    task: Task,
    rows: Sequence[Row],
    encode: Callable[[Sequence[Input]], Sequence[Sequence[Encoding]]],
    labels: Sequence[str],
) -> Part:
    """A split of `rows`, whose labels are among `labels`."""
    inputs = [task.parse(row.fields) for row in rows]
    encodings = encode(inputs)
    golds = [getattr(row, task.gold) for row in rows]
    return Part(task, rows, inputs, encodings, labels, task.targets(golds, encodings, task.label_names(labels)))


def flatten(logits: Sequence[Floats]) -> Floats:
    """Logits or features, (n,) or (n_words, n) each, of each decision: (N, n), as `Part.flat_targets`."""
    return np.concatenate([np.atleast_2d(each) for each in logits])


class _Measure(Protocol):
    """How answers of one kind are judged on a split."""

    def evaluate(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> Evaluation: ...

    def fit_temperature(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> float: ...

    def decide(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> npt.NDArray[Any]:
        """Of each text or word, what is decided (N, ...)."""


class _OfLabels:
    def evaluate(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> Evaluation:
        lines = [row.line for row in part.rows]
        return evaluate(part.task, np.stack(logits), part.targets, decoding, part.inputs, lines)

    def fit_temperature(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> float:
        return fit_temperature(np.stack(logits), part.targets, part.task.activation)

    def decide(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> npt.NDArray[Any]:
        found = np.stack(logits)
        return found.argmax(axis=1) if part.task.activation == "softmax" else found > 0


class _OfEntities:
    def evaluate(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> Evaluation:
        golds, texts = [row.spans for row in part.rows], [given.text for given in part.inputs]
        before = self._find(part, logits, replace(decoding, temperature=1.0))
        found = before if decoding.temperature == 1 else self._find(part, logits, decoding)
        lines, ece_before = [row.line for row in part.rows], calibration_error(golds, before)
        return evaluate_entities(golds, found, part.labels, texts, lines, ece_before=ece_before)

    def fit_temperature(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> float:
        return fit_chain_temperature(logits, part.targets, chain_of(decoding))

    def decide(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> npt.NDArray[Any]:
        chain = chain_of(decoding)
        return np.concatenate([chain.viterbi(each) for each in logits])

    def _find(self, part: Part, logits: Sequence[Floats], decoding: Decoding) -> list[tuple[Entity, ...]]:
        of_all = zip(part.inputs, part.encodings, logits, strict=True)
        return [cast(EntityPrediction, part.task.decode(*of_one, decoding)).entities for of_one in of_all]


_MEASURES: dict[Kind, _Measure] = {"label": _OfLabels(), "labels": _OfLabels(), "entities": _OfEntities()}

"""Text classification: one label a text (softmax), or any number of them (sigmoid)."""

from collections.abc import Sequence

import numpy as np

from retort.config import LongText
from retort.tasks import metrics
from retort.tasks.base import Decoding, Fields, Floats, Gold, Input, Kind, LabelPrediction, Targets, Task, parse_text
from retort.tokenization.encoding import Encoding, encode_pair, encode_text
from retort.tokenization.tokenizer import Tokenizer


class Classification:
    """Exactly one of the labels holds for a text or a pair of texts."""

    name = "classification"
    head = "pooled"
    activation = "softmax"
    problem_type = "single_label_classification"
    pipeline_tag = "text-classification"
    answers: Kind = "label"
    gold = "labels"
    long_text: LongText = "head"

    def suit(self, multi_label: bool) -> Task:
        """Itself, or the task of several labels a text."""
        return MultiLabelClassification() if multi_label else self

    def label_names(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels themselves."""
        return tuple(labels)

    def labels_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names themselves."""
        return tuple(names)

    def parse(self, fields: Fields) -> Input:
        """Fields `text` and perhaps `text_pair` become an Input; both must be strings of real characters."""
        text, pair = parse_text(fields, "text"), fields.get("text_pair")
        return Input(text, None if pair is None else parse_text(fields, "text_pair"))

    def encode(
        self, inputs: Sequence[Input], tokenizer: Tokenizer, max_seq_len: int, long_text: LongText
    ) -> list[list[Encoding]]:
        """The encodings of each input: several for a long text under `windows`, one otherwise."""
        texts = [t for i in inputs for t in (i.text, i.text_pair) if t is not None]
        ids = iter(tokenizer.tokenize_ids(texts))
        return [
            encode_text(next(ids), tokenizer, max_seq_len, long_text)
            if i.text_pair is None
            else encode_pair(next(ids), next(ids), tokenizer, max_seq_len)
            for i in inputs
        ]

    def join(self, encodings: Sequence[Encoding], rows: Sequence[Floats]) -> Floats:
        """The mean over the windows of a text, (n_labels,); most texts have one."""
        return rows[0] if len(rows) == 1 else np.asarray(np.mean(rows, axis=0), np.float32)

    def decode(
        self, given: Input, encodings: Sequence[Encoding], logits: Floats, decoding: Decoding
    ) -> LabelPrediction:
        """The most probable label."""
        calibrated = logits / decoding.temperature
        probabilities = metrics.softmax(calibrated)
        best = int(probabilities.argmax())
        label, probability = decoding.labels[best], float(probabilities[best])
        return LabelPrediction(label, probability, probabilities, decoding.labels, calibrated)

    def targets(self, golds: Sequence[Gold], encodings: Sequence[Sequence[Encoding]], labels: Sequence[str]) -> Targets:
        """Index of each input's label, (N,) int64."""
        index = {label: i for i, label in enumerate(labels)}
        return np.array([index[gold[0]] for gold in golds], np.int64)

    def spread(self, targets: Targets, encodings: Sequence[Encoding]) -> list[Targets]:
        """Each window of a text is learned from as if it were the text."""
        return [targets] * len(encodings)


class MultiLabelClassification(Classification):
    """Any number of the labels, also none, hold for a text or a pair of texts."""

    name = "multi_label_classification"
    activation = "sigmoid"
    problem_type = "multi_label_classification"
    answers: Kind = "labels"

    def decode(
        self, given: Input, encodings: Sequence[Encoding], logits: Floats, decoding: Decoding
    ) -> LabelPrediction:
        """Every label whose probability reaches the threshold."""
        calibrated = logits / decoding.temperature
        probabilities = metrics.sigmoid(calibrated)
        chosen = [i for i in np.argsort(-probabilities, kind="stable") if probabilities[i] >= decoding.threshold]
        labels = [decoding.labels[i] for i in chosen]
        certainties = [float(probabilities[i]) for i in chosen]
        return LabelPrediction(labels, certainties, probabilities, decoding.labels, calibrated)

    def targets(self, golds: Sequence[Gold], encodings: Sequence[Sequence[Encoding]], labels: Sequence[str]) -> Targets:
        """1 where a label holds, (N, n_labels) float32."""
        index = {label: i for i, label in enumerate(labels)}
        found = np.zeros((len(golds), len(labels)), np.float32)
        for row, gold in enumerate(golds):
            found[row, [index[label] for label in gold]] = 1.0
        return found

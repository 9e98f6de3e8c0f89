"""An encoder and its head as one model: encodings become logits or features, variables become `Weights`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from retort.model.architecture import Weights
from retort.model.families import AnyEncoder
from retort.model.heads import Head
from retort.model.operations import Tensor
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch, collate, plan_batches
from retort.tokenization.encoding import Encoding

MAX_BATCH_TOKENS = 4096
Inputs = Mapping[str, Tensor]


class Classifier:
    """What is trained and exported: it classifies texts, or the tokens of texts, as its head says."""

    def __init__(self, encoder: AnyEncoder, head: Head) -> None:
        self.encoder, self.head = encoder, head
        self.specs = dict(encoder.inputs)
        self._features = tf.function(self._features_of, input_signature=[self.specs], autograph=False)
        self._logits = tf.function(self._logits_of, input_signature=[self.specs], autograph=False)

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that training changes, by name, in a fixed order."""
        return self.encoder.trainable | self.head.trainable

    def feed(self, batch: Batch) -> Inputs:
        """What the encoder reads of a batch, by name."""
        return {name: tf.constant(getattr(batch, name), spec.dtype) for name, spec in self.specs.items()}

    def __call__(self, inputs: Inputs, seed: Tensor) -> Tensor:
        """Training's forward pass: what `feed` gives becomes logits, (B, n_labels) or (B, T, n_labels).

        `seed` (2,) int64 is the dropout's.
        """
        hidden = self.encoder(**inputs, training=True, seed=seed)
        features = self.head.features(hidden, inputs["attention_mask"])
        return self.head.logits(features, training=True, seed=seed + tf.constant([4095, 0], tf.int64))

    def predict_logits(self, encodings: Sequence[Encoding]) -> list[Floats]:
        """Logits of each encoding, in their order: (n_labels,), or (T_i, n_labels) where tokens are classified."""
        return self._in_batches(self._logits, encodings)

    def features(self, encodings: Sequence[Encoding]) -> list[Floats]:
        """What a probe is fitted on, of each encoding, in their order: (H,), or (T_i, H)."""
        return self._in_batches(self._features, encodings)

    def export_weights(self) -> Weights:
        """All weights, encoder's and head's, under the names of `architecture`."""
        return self.encoder.export_weights() | self.head.export_weights()

    def _features_of(self, inputs: Inputs) -> Tensor:
        return self.head.features(self.encoder(**inputs), inputs["attention_mask"])

    def _logits_of(self, inputs: Inputs) -> Tensor:
        return self.head.logits(self._features_of(inputs))

    def _in_batches(self, run: Callable[[Inputs], Tensor], encodings: Sequence[Encoding]) -> list[Floats]:
        found: list[Floats] = [np.zeros(0, np.float32)] * len(encodings)
        for rows in plan_batches([len(e) for e in encodings], MAX_BATCH_TOKENS):
            batch = collate([encodings[i] for i in rows], self.encoder.config.pad_token_id)
            values = run(self.feed(batch)).numpy()
            for i, row in zip(rows, self.head.rows(values, [len(encodings[i]) for i in rows]), strict=True):
                found[i] = row
        return found

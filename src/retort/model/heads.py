"""What stands on an encoder: hidden states become features, features become logits, logits become a loss.

A head is a shape of logits; `HEADS` is the table that tasks name theirs from.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

from retort.errors import BadUsage
from retort.model.architecture import Config, Weights
from retort.model.crf import crf_losses
from retort.model.operations import ACTIVATIONS, Tensor, dropout
from retort.tasks.base import Floats
from retort.tasks.chain import FORBIDDEN, Chain


class Head(ABC):
    """Dropout and one dense layer: logits = f @ classifier.kernel + classifier.bias for features f (..., H)."""

    def __init__(
        self,
        config: Config,
        n_labels: int,
        activation: str,
        weights: Weights,
        dropout: float | None = None,
        frozen: bool = False,
        seed: int = 0,
    ) -> None:
        """What `weights` lack of the head's own starts at random.

        `activation` is the task's, "softmax" or "sigmoid".  `frozen` keeps what is pretrained as it is.
        """
        self.config, self.n_labels, self.activation = config, n_labels, activation
        self.dropout = config.hidden_dropout if dropout is None else dropout
        self.centre = tf.Variable(tf.zeros([config.hidden_size]), trainable=False, name="centre")
        self.variables: dict[str, tf.Variable] = {}
        generator = np.random.default_rng([seed, 11])
        for name, shape in self._shapes().items():
            is_kernel = name.endswith("kernel")
            drawn = generator.normal(0.0, config.initializer_range, shape) if is_kernel else np.zeros(shape)
            value = np.asarray(weights.get(name, drawn * self._scale_of(name)), np.float32) / self._scale_of(name)
            trains = not (frozen and name.startswith("pooler."))
            self.variables[name] = tf.Variable(value, trainable=trains, name=name, dtype=tf.float32)

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that training changes, by name."""
        return {name: v for name, v in self.variables.items() if v.trainable}

    @property
    def speeds(self) -> Mapping[str, float]:
        """How many times the learning rate a variable learns at, where it is not once."""
        return {}

    @property
    def chain(self) -> Chain | None:
        """What it has learned of how tags follow each other, as it is now; None where it learns no such thing."""
        return None

    @property
    @abstractmethod
    def target_spec(self) -> tf.TensorSpec:
        """Shape and type of a batch's targets."""

    @abstractmethod
    def features(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states (B, T, H) and mask (B, T) become what logits are made of and a probe is fitted on."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
        """The mean loss () of float32 logits; a label weighs as `class_weights` (n_labels,) say."""

    @abstractmethod
    def rows(self, values: Floats, lengths: Sequence[int]) -> Iterator[Floats]:
        """What belongs to each encoding of a batch, in logits or features; `lengths` (B,) are the encodings'."""

    def logits(self, features: Tensor, training: bool = False, seed: Tensor | None = None) -> Tensor:
        """Features (..., H) become logits (..., n_labels); `seed` (2,) int64 must be given with `training`."""
        scaled = features * self._scale_of("classifier.kernel")
        if training:
            scaled = self.centre + dropout(scaled - self.centre, self.dropout, seed)
        return scaled @ self.variables["classifier.kernel"] + self.variables["classifier.bias"]

    def start_from(self, kernel: Floats, bias: Floats, centre: Floats) -> None:
        """Let training start at a probe's `kernel` (H, n_labels) and `bias` (n_labels,), fitted on `features`.

        `centre` (H,) is the features' mean: from now on dropout takes away what differs from it.  A kernel of large
        weights on features that hardly vary would turn dropout of the features themselves into mere noise.
        """
        scale = self._scale_of("classifier.kernel")
        self.centre.assign(centre * scale)
        self.variables["classifier.kernel"].assign(kernel / scale)
        self.variables["classifier.bias"].assign(bias)

    def export_weights(self) -> Weights:
        """The head's weights, for features as `features` gives them."""
        return {n: (v.numpy() * self._scale_of(n)).astype(np.float32) for n, v in self.variables.items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the head's own weights, by name."""
        return {"classifier.kernel": (self.config.hidden_size, self.n_labels), "classifier.bias": (self.n_labels,)}

    def _scale_of(self, name: str) -> float:
        """How many times its variable a weight is."""
        return 1.0


class PooledHead(Head):
    """Logits (B, n_labels) from one vector a text.

    mean: f = layer norm (no gain, no shift) of the mean of the tokens' states, over sqrt(H), so of length 1.
    cls:  f = activation(first token's state @ pooler).
    """

    @property
    def target_spec(self) -> tf.TensorSpec:
        """(B,) int64 for softmax, (B, n_labels) of 0 and 1 for sigmoid."""
        return tf.TensorSpec([None, None], tf.float32) if self._is_sigmoid else tf.TensorSpec([None], tf.int64)

    def features(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states (B, T, H) and mask (B, T) become (B, H)."""
        if self.config.pooling == "cls":
            pooled = hidden[:, 0] @ self.variables["pooler.kernel"] + self.variables["pooler.bias"]
            return ACTIVATIONS[self.config.pooler_activation](pooled)
        mask = tf.cast(attention_mask, tf.float32)[:, :, None]
        mean = tf.reduce_sum(hidden * mask, 1) / tf.reduce_sum(mask, 1)
        centred = mean - tf.reduce_mean(mean, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        unit = centred * tf.math.rsqrt(variance + self.config.layer_norm_eps)
        return unit / self._scale_of("classifier.kernel")

    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
        """Mean cross-entropy of logits (B, n_labels), float32.

        softmax: `targets` (B,) int, each text weighs as `class_weights` (n_labels,) says for its label.
        sigmoid: `targets` (B, n_labels) of 0 and 1, where 1 it weighs as `class_weights` says.
        """
        if self._is_sigmoid:
            return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(targets, logits, class_weights))
        return _mean_cross_entropy(logits, targets, class_weights)

    def rows(self, values: Floats, lengths: Sequence[int]) -> Iterator[Floats]:
        """(B, ...) as B arrays."""
        return iter(values)

    @property
    def _is_sigmoid(self) -> bool:
        return self.activation == "sigmoid"

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        size = self.config.hidden_size
        pooler = {"pooler.kernel": (size, size), "pooler.bias": (size,)} if self.config.pooling == "cls" else {}
        return pooler | super()._shapes()

    def _scale_of(self, name: str) -> float:
        # Features of length 1 have small entries; training sees them at unit variance, so that one learning rate suits
        # encoder and head.
        is_small = self.config.pooling == "mean" and name == "classifier.kernel"
        return math.sqrt(self.config.hidden_size) if is_small else 1.0


class TokenHead(Head):
    """Logits (B, T, n_labels) from each token's own state."""

    @property
    def target_spec(self) -> tf.TensorSpec:
        """(B, T) int64; -1 where no label is read."""
        return tf.TensorSpec([None, None], tf.int64)

    def features(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """The states (B, T, H) as they are."""
        return hidden

    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
        """Mean cross-entropy of logits (B, T, n_labels), float32, where `targets` (B, T) are not -1.

        Each token weighs as `class_weights` (n_labels,) says for its label.
        """
        kept = tf.where(targets >= 0)
        return _mean_cross_entropy(tf.gather_nd(logits, kept), tf.gather_nd(targets, kept), class_weights)

    def rows(self, values: Floats, lengths: Sequence[int]) -> Iterator[Floats]:
        """(B, T, ...) as B arrays (T_i, ...)."""
        return (row[:length] for row, length in zip(values, lengths, strict=True))


class CrfHead(TokenHead):
    """A TokenHead for BIO tags (O, then B and I of each type) that also learns what moves from tag to tag are worth.

    Its logits are the emissions of the `Chain` whose `transitions`, `start` and `end` are the weights `crf.*`.
    """

    @property
    def chain(self) -> Chain:
        """The CRF as it is now."""
        return Chain(*(self._scores(name).numpy() for name in self._legal))

    @property
    def speeds(self) -> Mapping[str, float]:
        """A CRF's few scores start at 0 and must go far; at a pretrained encoder's learning rate they never arrive."""
        return dict.fromkeys(self._legal, self.config.crf_speed)

    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
        """-log p of the targets (B, T) over their number, in nats, from emissions (B, T, n_labels), float32.

        Places of target -1 do not exist for it.  `class_weights` play no part: what is likely or not is a sequence.
        """
        n_tags = tf.math.count_nonzero(targets >= 0, dtype=tf.float32)
        losses = crf_losses(logits, targets, *(self._scores(name) for name in self._legal))
        return tf.math.divide_no_nan(tf.reduce_sum(losses), n_tags)

    def export_weights(self) -> Weights:
        """`classifier.*` and `crf.*`."""
        return super().export_weights() | {name: self._scores(name).numpy() for name in self._legal}

    @cached_property
    def _legal(self) -> dict[str, np.ndarray]:
        """Where the CRF may have scores of its own, in the order of `Chain`'s fields."""
        if self.n_labels % 2 == 0:
            raise BadUsage(f"A CRF needs BIO tags: O, then B and I of each type, so not {self.n_labels} of them.")
        chain = Chain.for_tags(["O", *(f"{prefix}-{i}" for i in range(self.n_labels // 2) for prefix in "BI")])
        scores = {"crf.transitions": chain.transitions, "crf.start": chain.start, "crf.end": chain.end}
        return {name: each > FORBIDDEN for name, each in scores.items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return super()._shapes() | {name: legal.shape for name, legal in self._legal.items()}

    def _scores(self, name: str) -> Tensor:
        return tf.where(self._legal[name], self.variables[name], FORBIDDEN)


def _mean_cross_entropy(logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
    """Of logits (N, n_labels) and `targets` (N,), each weighing as its label does; 0 of none."""
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    weights = tf.gather(class_weights, targets)
    return tf.math.divide_no_nan(tf.reduce_sum(each * weights), tf.reduce_sum(weights))


HEADS: dict[str, type[Head]] = {"pooled": PooledHead, "tokens": TokenHead, "tokens_crf": CrfHead}

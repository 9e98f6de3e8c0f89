"""What stands on an encoder: hidden states become features, features become logits, logits become a loss.

A head is a shape of logits; `HEADS` is the table that tasks name theirs from.
"""

import math

import numpy as np
import tensorflow as tf

from retort.model.architecture import EncoderConfig, Weights
from retort.model.operations import ACTIVATIONS, Tensor, dropout
from retort.tasks.base import Floats


class PooledHead:
    """Logits (B, n_labels) from one vector a text.

    mean: f = layer norm (no gain, no shift) of the mean of the tokens' states, over sqrt(H), so of length 1.
    cls:  f = activation(first token's state @ pooler).
    logits = f @ classifier.kernel + classifier.bias in both.
    """

    def __init__(
        self,
        config: EncoderConfig,
        n_labels: int,
        activation: str,
        weights: Weights,
        dropout: float | None = None,
        frozen: bool = False,
        seed: int = 0,
    ) -> None:
        """`weights` may hold `pooler.*` and `classifier.*`; what is missing starts at random.

        `activation` is the task's, "softmax" or "sigmoid".  `frozen` keeps the pooler as it is.
        """
        self.config, self.n_labels, self.activation = config, n_labels, activation
        self.dropout = config.hidden_dropout if dropout is None else dropout
        # Features of length 1 have small entries; training sees them at unit variance, so that one learning rate suits
        # encoder and head.
        self._scale = math.sqrt(config.hidden_size) if config.pooling == "mean" else 1.0
        self.centre = tf.Variable(tf.zeros([config.hidden_size]), trainable=False, name="centre")
        generator = np.random.default_rng([seed, 11])
        size = config.hidden_size
        start = {"pooler.kernel": (size, size), "pooler.bias": (size,)} if config.pooling == "cls" else {}
        start |= {"classifier.kernel": (size, n_labels), "classifier.bias": (n_labels,)}
        self.variables: dict[str, tf.Variable] = {}
        for name, shape in start.items():
            drawn = (
                generator.normal(0.0, config.initializer_range, shape) if name.endswith("kernel") else np.zeros(shape)
            )
            value = np.asarray(weights.get(name, drawn * self._scale_of(name)), np.float32) / self._scale_of(name)
            trains = not (frozen and name.startswith("pooler."))
            self.variables[name] = tf.Variable(value, trainable=trains, name=name, dtype=tf.float32)

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that training changes, by name."""
        return {name: v for name, v in self.variables.items() if v.trainable}

    def features(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states (B, T, H) and mask (B, T) become (B, H), what a probe is fitted on."""
        if self.config.pooling == "cls":
            pooled = hidden[:, 0] @ self.variables["pooler.kernel"] + self.variables["pooler.bias"]
            return ACTIVATIONS[self.config.pooler_activation](pooled)
        mask = tf.cast(attention_mask, tf.float32)[:, :, None]
        mean = tf.reduce_sum(hidden * mask, 1) / tf.reduce_sum(mask, 1)
        centred = mean - tf.reduce_mean(mean, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        return centred * tf.math.rsqrt(variance + self.config.layer_norm_eps) / self._scale

    def logits(self, features: Tensor, training: bool = False, seed: Tensor | None = None) -> Tensor:
        """Features (B, H) become logits (B, n_labels); `seed` (2,) int64 must be given with `training`."""
        scaled = features * self._scale
        if training:
            scaled = self.centre + dropout(scaled - self.centre, self.dropout, seed)
        return scaled @ self.variables["classifier.kernel"] + self.variables["classifier.bias"]

    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor) -> Tensor:
        """Mean cross-entropy of logits (B, n_labels), float32.

        softmax: `targets` (B,) int, each text weighs as `class_weights` (n_labels,) says for its label.
        sigmoid: `targets` (B, n_labels) of 0 and 1, where 1 it weighs as `class_weights` says.
        """
        if self.activation == "sigmoid":
            return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(targets, logits, class_weights))
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        weights = tf.gather(class_weights, targets)
        return tf.reduce_sum(each * weights) / tf.reduce_sum(weights)

    def start_from(self, kernel: Floats, bias: Floats, centre: Floats) -> None:
        """Let training start at a probe's `kernel` (H, n_labels) and `bias` (n_labels,), fitted on `features`.

        `centre` (H,) is the features' mean: from now on dropout takes away what differs from it.  A kernel of large
        weights on features that hardly vary would turn dropout of the features themselves into mere noise.
        """
        self.centre.assign(centre * self._scale)
        self.variables["classifier.kernel"].assign(kernel / self._scale)
        self.variables["classifier.bias"].assign(bias)

    def export_weights(self) -> Weights:
        """`pooler.*` (cls only) and `classifier.*`, for features as `features` gives them."""
        return {n: (v.numpy() * self._scale_of(n)).astype(np.float32) for n, v in self.variables.items()}

    def _scale_of(self, name: str) -> float:
        return self._scale if name == "classifier.kernel" else 1.0


HEADS = {"pooled": PooledHead}

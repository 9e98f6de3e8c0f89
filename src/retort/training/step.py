"""One training step: forward, backward, update, as one TensorFlow graph."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from retort.config import TrainSettings
from retort.model.classifier import Classifier, Inputs
from retort.model.operations import Tensor
from retort.tasks.base import Floats, Targets
from retort.tokenization.batch import Batch
from retort.training.optimizer import AdamW, LossScale

Arrays = dict[str, npt.NDArray[Any]]


class TrainStep:
    """One step: forward, backward, update; and all that it changes, as arrays."""

    def __init__(self, model: Classifier, settings: TrainSettings, class_weights: Floats | None = None) -> None:
        weights = np.ones(model.head.n_labels, np.float32) if class_weights is None else class_weights
        self._model, self._class_weights = model, tf.constant(weights)
        self._variables = model.trainable
        self._optimizer = AdamW(self._variables, settings.weight_decay, model.head.speeds)
        self._loss_scale = LossScale(model.encoder.dtype == tf.float16)
        self._changing = (
            self._variables | self._optimizer.slots | self._loss_scale.slots | {"centre": model.head.centre}
        )
        self._seed = settings.seed
        rate, seed = tf.TensorSpec([], tf.float32), tf.TensorSpec([2], tf.int64)
        # One graph for all shapes: graphs for given shapes would round differently, and so would resumed training.
        self._run = tf.function(self._graph, [model.specs, model.head.target_spec, rate, seed], autograph=False)

    def __call__(self, batch: Batch, targets: Targets, learn_rate: float, step: int) -> float:
        """Learn from a batch in step number `step`, from 0; the loss before it."""
        loss = self._run(
            self._model.feed(batch),
            tf.constant(targets),
            tf.constant(learn_rate, tf.float32),
            tf.constant([self._seed * 4096, step], tf.int64),
        )
        return float(loss)

    def weights(self) -> Arrays:
        """The trained variables by name."""
        return {name: v.numpy() for name, v in self._variables.items()}

    def state(self) -> Arrays:
        """Everything that a step changes, by name."""
        return {name: v.numpy() for name, v in self._changing.items()}

    def restore(self, arrays: Any) -> None:
        """Set what `weights` or `state` gave."""
        for name, value in arrays.items():
            self._changing[name].assign(value)

    def _graph(self, inputs: Inputs, targets: Tensor, rate: Tensor, seed: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            logits = self._model(inputs, seed)
            loss = self._model.head.loss(logits, targets, self._class_weights)
            scaled = loss * self._loss_scale.value
        gradients = dict(zip(self._variables, tape.gradient(scaled, list(self._variables.values())), strict=True))
        step = tf.cast(seed[1] + 1, tf.float32)
        norm = self._optimizer.apply(gradients, rate, step, self._loss_scale.value)
        self._loss_scale.update(norm)
        return loss

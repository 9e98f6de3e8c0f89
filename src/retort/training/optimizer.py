"""AdamW with clipping by global norm; gradients of single rows (word embeddings) touch only those rows."""

import math
from collections.abc import Mapping

import tensorflow as tf

from retort.model.operations import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
CLIP_NORM = 1.0
UNDECAYED = (".bias", ".gamma", ".beta")
Gradients = Mapping[str, Tensor]  # or tf.IndexedSlices


class AdamW:
    """Decoupled weight decay on everything but biases and norms.

    A row whose gradient is sparse is as if it did not exist in steps that do not use it: neither moments nor weight
    decay change it then.  `speeds` say which variables learn at how many times the learning rate.  `slots` hold all
    state but the number of steps.  Source: Loshchilov and Hutter 2019.
    """

    def __init__(
        self, variables: Mapping[str, tf.Variable], weight_decay: float, speeds: Mapping[str, float] | None = None
    ) -> None:
        self._variables = dict(variables)
        self._speeds = dict(speeds or {})
        self._weight_decay = {n: 0.0 if n.endswith(UNDECAYED) else weight_decay for n in self._variables}
        self.slots: dict[str, tf.Variable] = {
            f"{slot}/{name}": tf.Variable(tf.zeros_like(v), trainable=False, name=f"{slot}/{name}")
            for name, v in self._variables.items()
            for slot in ("m", "v")
        }

    def apply(self, gradients: Gradients, learn_rate: Tensor, step: Tensor, loss_scale: Tensor | float = 1.0) -> Tensor:
        """Take step number `step` (float32, from 1) and return the gradients' norm before clipping.

        The gradients are of the loss times `loss_scale`; where they are not finite nothing changes.
        """
        whole = {name: _unique_rows(g) for name, g in gradients.items()}
        values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in whole.values()]
        norm = tf.sqrt(tf.add_n([2.0 * tf.nn.l2_loss(g) for g in values])) / loss_scale
        factor = tf.minimum(1.0, CLIP_NORM / (norm + 1e-6)) / loss_scale
        correction_2 = tf.sqrt(1.0 - BETA_2**step)
        rate = learn_rate * correction_2 / (1.0 - BETA_1**step)

        def update() -> Tensor:
            for name, gradient in whole.items():
                decay = learn_rate * self._weight_decay[name] if self._weight_decay[name] else None
                change = self._rows if isinstance(gradient, tf.IndexedSlices) else self._dense
                change(name, gradient, factor, rate * self._speeds.get(name, 1.0), EPSILON * correction_2, decay)
            return norm

        return tf.cond(tf.math.is_finite(norm), update, lambda: norm)

    def _dense(
        self, name: str, gradient: Tensor, factor: Tensor, rate: Tensor, epsilon: Tensor, decay: Tensor | None
    ) -> None:
        variable = self._variables[name]
        if decay is not None:
            variable.assign_sub(decay * variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self.slots[f"m/{name}"].handle,
            v=self.slots[f"v/{name}"].handle,
            beta1_power=0.0,  # the corrections are in `rate` and `epsilon`
            beta2_power=0.0,
            lr=rate,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=epsilon,
            grad=gradient * factor,
        )

    def _rows(
        self, name: str, gradient: tf.IndexedSlices, factor: Tensor, rate: Tensor, epsilon: Tensor, decay: Tensor | None
    ) -> None:
        rows, values = gradient.indices, gradient.values * factor
        variable, m_slot, v_slot = self._variables[name], self.slots[f"m/{name}"], self.slots[f"v/{name}"]
        m = BETA_1 * tf.gather(m_slot, rows) + (1.0 - BETA_1) * values
        v = BETA_2 * tf.gather(v_slot, rows) + (1.0 - BETA_2) * tf.square(values)
        old = tf.gather(variable, rows)
        new = (old if decay is None else old - decay * old) - rate * m / (tf.sqrt(v) + epsilon)
        for slot, value in ((m_slot, m), (v_slot, v), (variable, new)):
            tf.raw_ops.ResourceScatterUpdate(resource=slot.handle, indices=rows, updates=value)


class LossScale:
    """What float16 losses are multiplied with, so that small gradients do not vanish: halved when gradients overflow,
    doubled after `GROWTH_STEPS` good steps.  `slots` hold its state."""

    GROWTH_STEPS = 2000

    def __init__(self, active: bool) -> None:
        self.active = active
        start = {"loss_scale/value": math.ldexp(1.0, 15), "loss_scale/n_good": 0.0} if active else {}
        self.slots = {name: tf.Variable(value, trainable=False, dtype=tf.float32) for name, value in start.items()}

    @property
    def value(self) -> Tensor:
        """The factor, float32."""
        return tf.identity(self.slots["loss_scale/value"]) if self.active else tf.constant(1.0)

    def update(self, norm: Tensor) -> None:
        """Learn from the gradients' norm."""
        if not self.active:
            return
        value, n_good = self.slots["loss_scale/value"], self.slots["loss_scale/n_good"]
        count = tf.where(tf.math.is_finite(norm), n_good + 1.0, 0.0)
        grows = count >= self.GROWTH_STEPS
        factor = tf.where(tf.math.is_finite(norm), tf.where(grows, 2.0, 1.0), 0.5)
        value.assign(tf.clip_by_value(value * factor, 1.0, math.ldexp(1.0, 24)))
        n_good.assign(tf.where(grows, 0.0, count))


def _unique_rows(gradient: Tensor) -> Tensor:
    """A sparse gradient with each row once; others as they are."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)

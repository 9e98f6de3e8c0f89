"""The few operations that an encoder is made of, on TensorFlow tensors.  Knows no names, no configuration."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types
ROOT_HALF = math.sqrt(0.5)


def linear(x: Tensor, kernel: Tensor, bias: Tensor, dtype: tf.DType) -> Tensor:
    """(N, in) becomes (N, out): product and result in `dtype`."""
    return tf.nn.bias_add(tf.matmul(tf.cast(x, dtype), tf.cast(kernel, dtype)), tf.cast(bias, dtype))


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """Normalise the last axis of a float32 (N, H); its gradient takes fewer passes than the composed one."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalise(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Callable[..., tuple[Tensor, ...]]]:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + eps)
        unit = centred * scale

        def gradient(dy: Tensor) -> tuple[Tensor, ...]:
            dunit = dy * gamma
            slope = tf.reduce_mean(dunit * unit, -1, keepdims=True)
            dx = scale * (dunit - tf.reduce_mean(dunit, -1, keepdims=True) - unit * slope)
            return dx, tf.reduce_sum(dy * unit, 0), tf.reduce_sum(dy, 0)

        return unit * gamma + beta, gradient

    return normalise(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def gelu(x: Tensor) -> Tensor:
    """x times the normal distribution's cumulative probability, by erf."""
    wide = tf.cast(x, tf.float32)
    return tf.cast(wide * (0.5 + 0.5 * tf.math.erf(wide * ROOT_HALF)), x.dtype)


def gelu_new(x: Tensor) -> Tensor:
    """The tanh approximation of `gelu`."""
    wide = tf.cast(x, tf.float32)
    inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide * wide * wide)
    return tf.cast(wide * (0.5 + 0.5 * tf.tanh(inner)), x.dtype)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_new": gelu_new,
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
}


def dropout(x: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Set a share `rate` of the values to 0 and scale the others up; `seed` (2,) int64 decides which."""
    if rate <= 0.0:
        return x
    keep = tf.random.stateless_uniform(tf.shape(x), seed) >= rate
    return tf.where(keep, x * tf.cast(1.0 / (1.0 - rate), x.dtype), tf.zeros([], x.dtype))

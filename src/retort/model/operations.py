"""The few operations that an encoder is made of, on TensorFlow tensors.  Knows no names, no configuration.

Where a composed gradient would pass over memory more often than needed, it is written by hand.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types
Gradient = Callable[..., Any]


def linear(x: Tensor, kernel: Tensor, bias: Tensor, dtype: tf.DType) -> Tensor:
    """(N, in) becomes (N, out): product and result in `dtype`."""
    return tf.nn.bias_add(tf.matmul(tf.cast(x, dtype), tf.cast(kernel, dtype)), tf.cast(bias, dtype))


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """Normalise the last axis of a float32 (N, H)."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Gradient]:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + eps)
        unit = centred * scale

        def gradient(dy: Tensor) -> tuple[Tensor, ...]:
            dunit = dy * gamma
            slope = tf.reduce_mean(dunit * unit, -1, keepdims=True)
            dx = scale * (dunit - tf.reduce_mean(dunit, -1, keepdims=True) - unit * slope)
            return dx, tf.reduce_sum(dy * unit, 0), tf.reduce_sum(dy, 0)

        return unit * gamma + beta, gradient

    return run(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def attention_shares(scores: Tensor, bias: Tensor, factor: float) -> Tensor:
    """softmax(scores * factor + bias) over the last axis, in float32 inside; `bias` is float32 and has no gradient."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(scores: Tensor) -> tuple[Tensor, Gradient]:
        shares = tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) * factor + bias), scores.dtype)

        def gradient(dy: Tensor) -> Tensor:
            wide = tf.cast(shares, tf.float32)
            product = tf.cast(dy, tf.float32) * wide
            dscores = product - wide * tf.reduce_sum(product, -1, keepdims=True)
            return tf.cast(dscores * factor, dy.dtype)

        return shares, gradient

    return run(scores)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gelu(x: Tensor) -> tuple[Tensor, Gradient]:
    """x times the normal distribution's cumulative probability, by erf.

    Its slope is computed on the way, so that the backward pass is one product.
    """
    wide = tf.cast(x, tf.float32)
    scaled = wide * math.sqrt(0.5)
    below = 0.5 + 0.5 * tf.math.erf(scaled)
    density = tf.exp(-0.5 * math.log(math.pi) - tf.square(scaled))  # of a normal variable, times root 2
    slope = tf.cast(below + scaled * density, x.dtype)
    return tf.cast(wide * below, x.dtype), lambda dy: dy * slope


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gelu_new(x: Tensor) -> tuple[Tensor, Gradient]:
    """The tanh approximation of `gelu`."""
    wide, root = tf.cast(x, tf.float32), math.sqrt(2 / math.pi)
    square = tf.square(wide)
    below = 0.5 + 0.5 * tf.tanh(wide * (root + root * 0.044715 * square))
    density = below * (1.0 - below) * (2 * root + 6 * root * 0.044715 * square)
    slope = tf.cast(below + wide * density, x.dtype)
    return tf.cast(wide * below, x.dtype), lambda dy: dy * slope


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_new": gelu_new,
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
}


def dropout(x: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Set a share `rate` of the values to 0 and scale the others up; `seed` (2,) int64 decides which.

    One random byte decides about a value, so `rate` is rounded to 256ths: drawing a float for each would take longer
    than attention itself.
    """
    if rate <= 0.0:
        return x
    n_dropped = min(255, max(1, round(rate * 256)))
    size = tf.size(x)
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, minval=None, maxval=None, dtype=tf.uint32)
    octets = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size]
    keep = tf.reshape(octets, tf.shape(x)) >= n_dropped
    return _masked(x, keep, 256 / (256 - n_dropped))


def _masked(x: Tensor, keep: Tensor, scale: float) -> Tensor:
    """`x` times `scale` where `keep`, else 0."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Tensor) -> tuple[Tensor, Gradient]:
        def mask(values: Tensor) -> Tensor:
            return tf.where(keep, values * tf.cast(scale, values.dtype), tf.zeros([], values.dtype))

        return mask(x), mask

    return run(x)

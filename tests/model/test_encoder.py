"""The encoder computes what the architecture says, and trains what it is told to."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from artifacts import random_weights, tiny_config
from retort.errors import BadUsage
from retort.model.architecture import EncoderConfig, Weights
from retort.model.encoder import LORA_SCALE, Encoder, parse_freeze
from retort.tasks.base import Floats

ALBERT: dict[str, Any] = {"family": "albert", "embedding_size": 6, "n_layers": 4, "n_groups": 2}
SEED = tf.constant([3, 5], tf.int64)


def ids_of(B: int = 3, T: int = 7, seed: int = 0) -> tuple[Any, Any, Any]:
    """Ids, mask (rows of 7, 5 and 2 tokens) and types."""
    rng = np.random.default_rng(seed)
    mask = (np.arange(T) < np.array([T, T - 2, 2])[:B, None]).astype(np.int32)
    return rng.integers(5, 60, (B, T)).astype(np.int32) * mask, mask, (np.arange(T) >= 4).astype(np.int32) * mask


def norm(x: Floats, w: Weights, name: str, eps: float) -> Floats:
    unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return unit * w[f"{name}.gamma"] + w[f"{name}.beta"]


def activate(x: Floats, name: str) -> Floats:
    if name == "gelu":
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    if name == "gelu_new":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return np.maximum(x, 0)


def reference(c: EncoderConfig, weights: Weights, ids: Any, mask: Any, types: Any) -> Floats:
    """Hidden states in float64, straight from the papers."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    B, T = ids.shape

    def dense(x: Floats, name: str) -> Floats:
        return x @ w[f"{name}.kernel"] + w[f"{name}.bias"]

    x = w["embeddings.word"][ids] + w["embeddings.position"][:T] + w["embeddings.token_type"][types]
    x = norm(x, w, "embeddings.norm", c.layer_norm_eps)
    if c.family == "albert":
        x = dense(x, "embeddings.projection")
    for layer in range(c.n_layers):
        name = f"layer.{c.group_of(layer)}"
        q, k, v = (
            dense(x, f"{name}.attention.{part}").reshape(B, T, c.n_heads, -1).swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + np.where(mask[:, None, None], 0, -1e9)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(B, T, -1)
        x = norm(x + dense(mixed, f"{name}.attention.output"), w, f"{name}.attention.norm", c.layer_norm_eps)
        inner = activate(dense(x, f"{name}.ffn.intermediate"), c.activation)
        x = norm(x + dense(inner, f"{name}.ffn.output"), w, f"{name}.ffn.norm", c.layer_norm_eps)
    return x


def gradients(encoder: Encoder, training: bool = False, seed: Any = SEED) -> dict[str, Any]:
    """By name, of a loss that all real tokens' states enter with different weights."""
    ids, mask, types = ids_of()
    with tf.GradientTape() as tape:
        hidden = encoder(ids, mask, types, training=training, seed=seed)
        spread = tf.reshape(tf.sin(tf.range(tf.size(hidden), dtype=tf.float32)), tf.shape(hidden))
        loss = tf.reduce_sum(hidden * spread * tf.cast(mask, tf.float32)[:, :, None])
    found = tape.gradient(loss, list(encoder.trainable.values()))
    return {n: tf.convert_to_tensor(g).numpy() for n, g in zip(encoder.trainable, found, strict=True)}


@pytest.mark.parametrize("changes", [{}, {"activation": "gelu_new"}, {"activation": "relu"}, ALBERT])
def test_hidden_states_equal_a_plain_numpy_forward(changes: dict[str, Any]) -> None:
    config = tiny_config(**changes)
    weights, (ids, mask, types) = random_weights(config), ids_of()
    hidden = Encoder(config, weights)(ids, mask, types).numpy()
    real = mask.astype(bool)
    np.testing.assert_allclose(hidden[real], reference(config, weights, ids, mask, types)[real], atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"activation": "gelu_new"}, {"activation": "relu"}, ALBERT])
def test_gradients_equal_differences_of_the_loss(changes: dict[str, Any]) -> None:
    config = tiny_config(**changes)
    weights, (ids, mask, types) = random_weights(config), ids_of()
    found = gradients(Encoder(config, weights, dropout=0.0), training=True)
    real, rng, step = mask.astype(bool), np.random.default_rng(1), 1e-5
    spread = np.sin(np.arange(ids.size * config.hidden_size)).reshape(*ids.shape, -1)

    def loss(name: str, part: Any, change: Floats) -> float:
        moved = dict(weights) | {name: weights[name].astype(np.float64) + change}
        return float((reference(config, moved, ids, mask, types) * spread)[real].sum())

    for name, gradient in found.items():
        if ".qkv." in name:
            name, gradient = name.replace("qkv", "value"), gradient[..., -config.hidden_size :]
        direction = rng.normal(size=gradient.shape)
        slope = (loss(name, None, step * direction) - loss(name, None, -step * direction)) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=2e-3, abs=2e-3), name


def test_padding_changes_nothing() -> None:
    config = tiny_config()
    encoder, (ids, mask, types) = Encoder(config, random_weights(config)), ids_of()
    together = encoder(ids, mask, types).numpy()
    for row, length in enumerate(mask.sum(axis=1)):
        alone = encoder(ids[row : row + 1, :length], mask[row : row + 1, :length], types[row : row + 1, :length])
        np.testing.assert_allclose(together[row, :length], alone.numpy()[0], atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_stays_near_float32(precision: str) -> None:
    config = tiny_config()
    weights, (ids, mask, types) = random_weights(config, scale=0.2), ids_of()
    exact = Encoder(config, weights)(ids, mask, types).numpy()
    rough = Encoder(config, weights, precision)(ids, mask, types).numpy()
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough)[mask.astype(bool)].mean() < 0.03


def test_half_precision_gradients_stay_near_float32() -> None:
    config = tiny_config()
    weights = random_weights(config, scale=0.2)
    exact, rough = (gradients(Encoder(config, weights, p, dropout=0.0), training=True) for p in ("float32", "bfloat16"))
    for name, gradient in exact.items():
        assert np.linalg.norm(rough[name] - gradient) < 0.1 * np.linalg.norm(gradient) + 1e-2, name


def test_dropout_follows_from_the_seed_alone() -> None:
    config = tiny_config()
    encoder, arrays = Encoder(config, random_weights(config)), ids_of()
    first, again = (encoder(*arrays, training=True, seed=SEED).numpy() for _ in range(2))
    other = encoder(*arrays, training=True, seed=SEED + 1).numpy()
    assert (first == again).all()
    assert (first != other).any()
    assert (first != encoder(*arrays).numpy()).any()


def test_gradients_with_dropout_are_repeatable_and_finite() -> None:
    config = tiny_config()
    first, again = (gradients(Encoder(config, random_weights(config), dropout=0.3), training=True) for _ in range(2))
    assert first.keys() == again.keys()
    assert all(np.isfinite(first[n]).all() and (first[n] == again[n]).all() and first[n].any() for n in first)


def test_weights_come_out_as_they_went_in() -> None:
    for config in (tiny_config(), tiny_config(**ALBERT)):
        weights = random_weights(config)
        exported = Encoder(config, weights).export_weights()
        assert exported.keys() == {n for n in weights if not n.startswith(("pooler.", "classifier."))}
        assert all((exported[n] == weights[n]).all() and exported[n].shape == weights[n].shape for n in exported)


def test_frozen_layers_have_no_gradients() -> None:
    config = tiny_config()
    names = set(Encoder(config, random_weights(config), n_frozen=1).trainable)
    assert names
    assert all(n.startswith("layer.1.") for n in names)
    assert not Encoder(config, random_weights(config), n_frozen=2).trainable


def test_a_group_that_a_trained_layer_shares_still_trains() -> None:
    config = tiny_config(**ALBERT)
    assert {n.split(".")[1] for n in Encoder(config, random_weights(config), n_frozen=1).trainable} == {"0", "1"}
    assert {n.split(".")[1] for n in Encoder(config, random_weights(config), n_frozen=2).trainable} == {"1"}


def test_lora_starts_as_the_encoder_and_merges_exactly() -> None:
    config = tiny_config()
    weights, arrays = random_weights(config), ids_of()
    encoder = Encoder(config, weights, lora_rank=2, n_frozen=1)
    assert all(n.startswith("layer.1.") and "lora_" in n for n in encoder.trainable)
    np.testing.assert_allclose(encoder(*arrays).numpy(), Encoder(config, weights)(*arrays).numpy(), atol=1e-6)
    for variable in encoder.trainable.values():
        variable.assign(np.random.default_rng(4).normal(0, 0.3, variable.shape))
    merged = Encoder(config, encoder.export_weights())
    np.testing.assert_allclose(encoder(*arrays).numpy(), merged(*arrays).numpy(), atol=1e-5)
    a, b = (encoder.variables[f"layer.1.ffn.output.lora_{x}"].numpy() for x in "ab")
    updated = weights["layer.1.ffn.output.kernel"] + LORA_SCALE * a @ b
    np.testing.assert_allclose(encoder.export_weights()["layer.1.ffn.output.kernel"], updated, atol=1e-5)


def test_lora_gradients_reach_both_factors() -> None:
    config = tiny_config()
    encoder = Encoder(config, random_weights(config), lora_rank=2)
    for variable in encoder.trainable.values():
        variable.assign(np.random.default_rng(4).normal(0, 0.3, variable.shape))
    assert all(gradient.any() for gradient in gradients(encoder).values())


def test_freeze_is_none_all_or_a_number() -> None:
    config = tiny_config()
    assert [parse_freeze(f, config) for f in ("none", "0", "1", "all", " ALL ")] == [0, 0, 1, 2, 2]
    for wrong in ("3", "-1", "some", "", "1.5", "²"):
        with pytest.raises(BadUsage, match="none, all or a number up to 2"):
            parse_freeze(wrong, config)

"""Heads turn hidden states into logits and logits into a loss."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from artifacts import random_weights, tiny_config
from retort.model.heads import HEADS, CrfHead, PooledHead, TokenHead
from retort.tasks import TASKS
from retort.tasks.base import Floats

CONFIG = tiny_config()
ONES = tf.ones(3)


def hidden_states() -> tuple[Floats, Floats]:
    """Hidden states (2, 4, 8) and a mask whose second row has two tokens."""
    hidden = np.random.default_rng(0).normal(size=(2, 4, 8)).astype(np.float32)
    return hidden, np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.float32)


def test_every_task_names_a_head_that_exists() -> None:
    assert {task.head for task in TASKS.values()} <= HEADS.keys()


def test_mean_features_are_the_normalised_mean_of_real_tokens() -> None:
    hidden, mask = hidden_states()
    features = PooledHead(CONFIG, 3, "softmax", {}).features(hidden, mask).numpy()
    mean = np.stack([hidden[0].mean(0), hidden[1, :2].mean(0)])
    expected = (mean - mean.mean(1, keepdims=True)) / mean.std(1, keepdims=True) / math.sqrt(8)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(("activation", "function"), [("tanh", np.tanh), ("relu", lambda x: np.maximum(x, 0))])
def test_cls_features_are_the_pooled_first_state(activation: str, function: np.ufunc) -> None:
    config, (hidden, mask) = replace(CONFIG, pooling="cls", pooler_activation=activation), hidden_states()
    weights = random_weights(config)
    features = PooledHead(config, 3, "softmax", weights).features(hidden, mask).numpy()
    expected = function(hidden[:, 0] @ weights["pooler.kernel"] + weights["pooler.bias"])
    np.testing.assert_allclose(features, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_exported_weights_give_the_same_logits_and_start_the_same_head(pooling: str) -> None:
    config, (hidden, mask) = replace(CONFIG, pooling=pooling), hidden_states()
    head = PooledHead(config, 3, "softmax", {}, seed=2)
    features = head.features(hidden, mask)
    exported = head.export_weights()
    assert set(exported) == {n for n in random_weights(config) if n.startswith(("classifier.", "pooler."))} - (
        {"pooler.kernel", "pooler.bias"} if pooling == "mean" else set()
    )
    by_hand = features.numpy() @ exported["classifier.kernel"] + exported["classifier.bias"]
    np.testing.assert_allclose(head.logits(features).numpy(), by_hand, atol=1e-5)
    again = PooledHead(config, 3, "softmax", exported)
    np.testing.assert_allclose(again.logits(again.features(hidden, mask)), head.logits(features), atol=1e-5)


def test_a_probe_is_where_training_starts() -> None:
    head, (hidden, mask) = PooledHead(CONFIG, 3, "softmax", {}), hidden_states()
    kernel, bias = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32), np.arange(3, dtype=np.float32)
    features = head.features(hidden, mask)
    head.start_from(kernel, bias, features.numpy().mean(axis=0))
    np.testing.assert_allclose(head.logits(features).numpy(), features.numpy() @ kernel + bias, atol=1e-5)
    np.testing.assert_allclose(head.export_weights()["classifier.kernel"], kernel, atol=1e-6)


def test_dropout_takes_away_only_what_differs_from_the_centre() -> None:
    head, (hidden, mask) = PooledHead(CONFIG, 3, "softmax", {}, dropout=0.5), hidden_states()
    features = head.features(hidden, mask)
    kernel, centre = np.full((8, 3), 1e3, np.float32), features.numpy()[0]
    head.start_from(kernel, np.zeros(3, np.float32), centre)
    dropped = head.logits(features, training=True, seed=tf.constant([1, 2], tf.int64)).numpy()
    plain = head.logits(features).numpy()
    np.testing.assert_allclose(dropped[0], plain[0], rtol=1e-5)
    assert np.abs(dropped[1:] - plain[1:]).max() > 1.0


def test_softmax_loss_is_the_weighted_cross_entropy_of_logits() -> None:
    logits, targets = np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], np.float32), np.array([0, 2])
    each = np.log(np.exp(logits).sum(1)) - logits[[0, 1], targets]
    head = PooledHead(CONFIG, 3, "softmax", {})
    assert head.loss(logits, targets, ONES).numpy() == pytest.approx(each.mean())
    weighted = head.loss(logits, targets, tf.constant([1.0, 1.0, 3.0])).numpy()
    assert weighted == pytest.approx((each[0] + 3 * each[1]) / 4)


def test_sigmoid_loss_is_the_weighted_binary_cross_entropy_of_logits() -> None:
    logits, targets = np.array([[2.0, -1.0, 0.5]], np.float32), np.array([[1.0, 0.0, 1.0]], np.float32)
    p = 1 / (1 + np.exp(-logits[0]))
    head = PooledHead(CONFIG, 3, "sigmoid", {})
    plain = -(np.log(p[0]) + np.log(1 - p[1]) + np.log(p[2])) / 3
    assert head.loss(logits, targets, ONES).numpy() == pytest.approx(plain, rel=1e-5)
    weighted = -(5 * np.log(p[0]) + np.log(1 - p[1]) + np.log(p[2])) / 3
    assert head.loss(logits, targets, tf.constant([5.0, 1.0, 1.0])).numpy() == pytest.approx(weighted, rel=1e-5)


def test_huge_logits_have_a_finite_loss() -> None:
    logits = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert np.isfinite(PooledHead(CONFIG, 3, "softmax", {}).loss(logits, np.array([1]), ONES))
    assert np.isfinite(PooledHead(CONFIG, 3, "sigmoid", {}).loss(logits, np.array([[0.0, 1.0, 1.0]], np.float32), ONES))


def test_dropout_only_in_training() -> None:
    head, (hidden, mask) = PooledHead(CONFIG, 3, "softmax", {}, dropout=0.5), hidden_states()
    features, seed = head.features(hidden, mask), tf.constant([1, 2], tf.int64)
    calm, dropped, again = (head.logits(features, t, seed).numpy() for t in (False, True, True))
    assert (calm != dropped).any()
    assert (dropped == again).all()


def test_a_frozen_pooler_does_not_train() -> None:
    config = replace(CONFIG, pooling="cls")
    assert set(PooledHead(config, 3, "softmax", {}, frozen=True).trainable) == {"classifier.kernel", "classifier.bias"}
    assert len(PooledHead(config, 3, "softmax", {}).trainable) == 4


def test_token_logits_are_each_states_own() -> None:
    (hidden, mask), weights = hidden_states(), random_weights(CONFIG)
    head = TokenHead(CONFIG, 3, "softmax", weights)
    logits = head.logits(head.features(hidden, mask)).numpy()
    np.testing.assert_allclose(logits, hidden @ weights["classifier.kernel"] + weights["classifier.bias"], atol=1e-5)
    assert [row.shape for row in head.rows(logits, [4, 2])] == [(4, 3), (2, 3)]
    assert set(head.export_weights()) == {"classifier.kernel", "classifier.bias"}


@pytest.mark.parametrize("kind", [TokenHead, CrfHead])
def test_a_token_probe_is_where_training_starts(kind: type[TokenHead]) -> None:
    head, (hidden, mask) = kind(CONFIG, 3, "softmax", {}), hidden_states()
    kernel, bias = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32), np.arange(3, dtype=np.float32)
    head.start_from(kernel, bias, hidden.mean(axis=(0, 1)))
    np.testing.assert_allclose(head.logits(head.features(hidden, mask)).numpy(), hidden @ kernel + bias, atol=1e-5)


def test_token_loss_is_the_weighted_cross_entropy_where_a_label_is_read() -> None:
    logits, targets = (
        np.random.default_rng(2).normal(size=(2, 3, 3)).astype(np.float32),
        np.array([[-1, 0, 2], [1, -1, -1]]),
    )
    kept = targets >= 0
    each = np.log(np.exp(logits[kept]).sum(1)) - logits[kept][np.arange(3), targets[kept]]
    head = TokenHead(CONFIG, 3, "softmax", {})
    assert head.loss(logits, targets, ONES).numpy() == pytest.approx(each.mean(), rel=1e-5)
    weighted = head.loss(logits, targets, tf.constant([1.0, 2.0, 5.0])).numpy()
    assert weighted == pytest.approx((each * [1, 5, 2]).sum() / 8, rel=1e-5)


@pytest.mark.parametrize("kind", [TokenHead, CrfHead])
def test_a_batch_without_labels_loses_nothing(kind: type[TokenHead]) -> None:
    assert kind(CONFIG, 3, "softmax", {}).loss(np.ones((2, 3, 3), np.float32), np.full((2, 3), -1), ONES).numpy() == 0

"""AdamW does what its paper says, row by row where gradients are sparse."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from retort.training.optimizer import AdamW, LossScale


def reference(w: Any, gradients: list[Any], rate: float, decay: float) -> Any:
    """Loshchilov and Hutter's algorithm 2 in float64, with clipping of the norm to 1."""
    m = v = np.zeros_like(w)
    for step, gradient in enumerate(gradients, 1):
        g = gradient / max(1.0, float(np.linalg.norm(gradient)))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - rate * (m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8) + decay * w)
    return w


def apply(optimizer: AdamW, gradients: dict[str, Any], step: int, rate: float = 0.01, scale: float = 1.0) -> float:
    run = tf.function(lambda s: optimizer.apply(gradients, tf.constant(rate), s, scale), autograph=False)
    return float(run(tf.constant(float(step))))


@pytest.mark.parametrize(("name", "decay"), [("layer.0.kernel", 0.1), ("layer.0.bias", 0.0), ("norm.gamma", 0.0)])
def test_steps_equal_the_papers(name: str, decay: float) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 4)), [rng.normal(size=(5, 4)) * s for s in (0.01, 3.0, 0.1)]
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = AdamW({name: variable}, weight_decay=0.1)
    for step, gradient in enumerate(gradients, 1):
        norm = apply(optimizer, {name: tf.constant(gradient, tf.float32)}, step)
        assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    np.testing.assert_allclose(variable.numpy(), reference(start, gradients, 0.01, decay), rtol=1e-4, atol=1e-6)


def test_a_variable_may_learn_faster_than_the_rate() -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 4)), [rng.normal(size=(5, 4)) * 0.1 for _ in range(3)]
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = AdamW({"crf.start": variable}, 0.0, {"crf.start": 20.0})
    for step, gradient in enumerate(gradients, 1):
        apply(optimizer, {"crf.start": tf.constant(gradient, tf.float32)}, step, rate=0.001)
    np.testing.assert_allclose(variable.numpy(), reference(start, gradients, 0.02, 0.0), rtol=1e-4, atol=1e-6)


def test_sparse_gradients_change_their_rows_as_dense_ones_and_no_others() -> None:
    start = np.random.default_rng(0).normal(size=(6, 3))
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = AdamW({"embeddings.word": variable}, weight_decay=0.1)
    rows, values = np.array([4, 1, 4, 4]), np.random.default_rng(1).normal(size=(4, 3))
    whole = np.zeros_like(start)
    np.add.at(whole, rows, values)
    for step in (1, 2):
        sparse = tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([6, 3]))
        assert apply(optimizer, {"embeddings.word": sparse}, step) == pytest.approx(np.linalg.norm(whole), rel=1e-5)
    expected = reference(start, [whole, whole], 0.01, 0.1)
    np.testing.assert_allclose(variable.numpy()[[1, 4]], expected[[1, 4]], rtol=1e-4)
    np.testing.assert_array_equal(variable.numpy()[[0, 2, 3, 5]], start.astype(np.float32)[[0, 2, 3, 5]])


def test_the_norm_is_that_of_all_gradients_together() -> None:
    variables = {name: tf.Variable([1.0]) for name in "ab"}
    assert apply(AdamW(variables, 0.0), {"a": tf.constant([3.0]), "b": tf.constant([4.0])}, 1) == pytest.approx(5)


def test_gradients_that_are_not_finite_change_nothing() -> None:
    variable = tf.Variable([1.0, 2.0])
    optimizer = AdamW({"w": variable}, weight_decay=0.1)
    assert np.isnan(apply(optimizer, {"w": tf.constant([np.nan, 1.0])}, 1))
    assert variable.numpy().tolist() == [1, 2]
    assert all(not slot.numpy().any() for slot in optimizer.slots.values())


def test_a_loss_scale_cancels_out() -> None:
    plain, scaled = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    gradient = np.array([0.3, -0.2], np.float32)
    apply(AdamW({"w": plain}, 0.1), {"w": tf.constant(gradient)}, 1)
    assert apply(AdamW({"w": scaled}, 0.1), {"w": tf.constant(gradient * 1024)}, 1, scale=1024.0) < 0.4
    np.testing.assert_allclose(scaled.numpy(), plain.numpy(), rtol=1e-5)


def test_the_loss_scale_halves_on_overflow_and_doubles_after_many_good_steps() -> None:
    scale = LossScale(active=True)
    start = float(scale.value)
    scale.update(tf.constant(np.inf))
    assert float(scale.value) == start / 2
    for _ in range(LossScale.GROWTH_STEPS):
        scale.update(tf.constant(1.0))
    assert float(scale.value) == start
    assert LossScale(active=False).slots == {}

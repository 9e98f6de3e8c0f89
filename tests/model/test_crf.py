"""A CRF's loss is what the chain that decodes by the same scores says of the same sequences."""

import numpy as np
import pytest
import tensorflow as tf

from artifacts import tiny_config
from retort.errors import BadUsage
from retort.model.crf import crf_losses
from retort.model.heads import CrfHead
from retort.tasks.base import Floats
from retort.tasks.chain import FORBIDDEN, Chain

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
SPEC = [tf.TensorSpec([None, None, 5], tf.float32), tf.TensorSpec([None, None], tf.int64)]


def some_chain() -> Chain:
    rng, legal = np.random.default_rng(0), Chain.for_tags(TAGS)
    scores = [np.where(s < 0, s, rng.normal(0, 2, s.shape)) for s in (legal.transitions, legal.start, legal.end)]
    return Chain(*(s.astype(np.float32) for s in scores))


def some_targets() -> np.ndarray:
    """Sequences that begin late, have gaps, fill the row, are of one word, or of none."""
    return np.array(
        [
            [-1, 0, 1, -1, 2, 2, 0, -1],
            [1, 2, 0, 3, 4, 4, 4, 1],
            [-1, -1, -1, -1, -1, 3, -1, -1],
            [-1, -1, -1, -1, -1, -1, -1, -1],
            [0, -1, -1, -1, -1, -1, -1, -1],
        ]
    )


def some_emissions(size: float = 2.0) -> Floats:
    return np.random.default_rng(1).normal(0, size, (5, 8, 5)).astype(np.float32)


def losses_and_gradients(chain: Chain, emissions: Floats, targets: np.ndarray) -> tuple[Floats, list[Floats]]:
    """As training computes them: one graph for all shapes."""
    scores = [tf.Variable(s) for s in (chain.transitions, chain.start, chain.end)]

    @tf.function(input_signature=SPEC, autograph=False)
    def run(emissions: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            losses = crf_losses(emissions, targets, *map(tf.convert_to_tensor, scores))
        return losses, tape.gradient(losses, [emissions, *scores])

    losses, gradients = run(tf.constant(emissions), tf.constant(targets))
    return losses.numpy(), [gradient.numpy() for gradient in gradients]


def expected_losses(chain: Chain, emissions: Floats, targets: np.ndarray) -> list[float]:
    return [-chain.log_likelihood(e[t >= 0], t[t >= 0]) for e, t in zip(emissions, targets, strict=True)]


@pytest.mark.parametrize("chain", [some_chain(), Chain.for_tags(TAGS)], ids=["learned", "free"])
def test_the_loss_is_the_chains_likelihood_of_what_is_kept(chain: Chain) -> None:
    emissions, targets = some_emissions(), some_targets()
    losses, _ = losses_and_gradients(chain, emissions, targets)
    np.testing.assert_allclose(losses, expected_losses(chain, emissions, targets), atol=2e-5)
    assert losses[3] == 0


def test_places_that_are_left_out_have_neither_weight_nor_slope() -> None:
    emissions, targets = some_emissions(), some_targets()
    other = np.where(targets[:, :, None] < 0, np.float32(77), emissions)
    first, slopes = losses_and_gradients(some_chain(), emissions, targets)
    second, _ = losses_and_gradients(some_chain(), other, targets)
    np.testing.assert_array_equal(first, second)
    assert not slopes[0][targets < 0].any()
    assert np.abs(slopes[0][targets >= 0]).max() > 0.1


def test_the_slope_by_an_emission_is_the_tags_probability_beyond_its_truth() -> None:
    chain, emissions, targets = some_chain(), some_emissions(), np.array([[1, 2, 0, 3, 4, 4, 4, 1]])
    _, slopes = losses_and_gradients(chain, emissions[:1], targets)
    step = 1e-3
    for word, tag in [(0, 1), (3, 0), (7, 4)]:
        up, down = emissions[0].astype(np.float64), emissions[0].astype(np.float64)
        up[word, tag] += step
        down[word, tag] -= step
        slope = (chain.log_likelihood(down, targets[0]) - chain.log_likelihood(up, targets[0])) / (2 * step)
        assert slopes[0][0, word, tag] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("size", [0.0, 1e2, 1e4])
def test_losses_and_slopes_stay_finite(size: float) -> None:
    losses, slopes = losses_and_gradients(some_chain(), some_emissions(size), some_targets())
    assert np.isfinite(losses).all()
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_nothing_to_learn_loses_nothing() -> None:
    losses, slopes = losses_and_gradients(some_chain(), some_emissions(), np.full((5, 8), -1))
    assert not losses.any()
    assert not any(slope.any() for slope in slopes)


def test_a_head_learns_a_chain_and_leaves_forbidden_what_is() -> None:
    """Tags that emissions cannot tell: only what follows what tells the second entity's kind."""
    head, rng = CrfHead(tiny_config(), 5, "softmax", {}), np.random.default_rng(0)
    targets = tf.constant(np.tile([1, 2, 3, 0], (16, 1)))
    emissions = tf.constant(rng.normal(0, 0.1, (16, 4, 5)).astype(np.float32))
    start = float(head.loss(emissions, targets, tf.ones(5)))
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = head.loss(emissions, targets, tf.ones(5))
        scores = [v for name, v in head.trainable.items() if name.startswith("crf.")]
        for variable, gradient in zip(scores, tape.gradient(loss, scores), strict=True):
            variable.assign_sub(2.0 * gradient)
    assert float(head.loss(emissions, targets, tf.ones(5))) < start / 5
    assert head.chain.viterbi(np.zeros((4, 5), np.float32)).tolist() == [1, 2, 3, 0]
    legal = Chain.for_tags(TAGS)
    assert ((head.chain.transitions == FORBIDDEN) == (legal.transitions == FORBIDDEN)).all()
    exported = head.export_weights()
    again = CrfHead(tiny_config(), 5, "softmax", exported)
    np.testing.assert_array_equal(again.chain.transitions, exported["crf.transitions"])
    np.testing.assert_array_equal(again.chain.start, head.chain.start)


def test_labels_that_cannot_be_tags_are_refused() -> None:
    with pytest.raises(BadUsage, match="so not 4"):
        CrfHead(tiny_config(), 4, "softmax", {})

"""Batches of an epoch: every example once, similar lengths together, the same for the same seed and epoch."""

import numpy as np
import pytest

from retort.tasks import TASKS
from retort.tokenization.encoding import Encoding
from retort.training.dataset import Examples, balanced_class_weights, epoch_batches, n_batches

LENGTHS = np.random.default_rng(0).integers(3, 128, 5000).tolist()


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1601, 5000])
def test_every_example_is_in_one_batch(n: int) -> None:
    batches = epoch_batches(LENGTHS[:n], 32, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert len(batches) == n_batches(n, 32)
    assert sum(len(b) < 32 for b in batches) <= 1


def test_seed_and_epoch_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return [b.tolist() for b in epoch_batches(LENGTHS[:500], 8, seed, epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_batches_hold_similar_lengths_in_no_order_of_length() -> None:
    batches = epoch_batches(LENGTHS, 32, seed=1, epoch=0)
    longest = [max(LENGTHS[i] for i in b) for b in batches]
    padded = sum(n * len(b) for n, b in zip(longest, batches, strict=True))
    assert padded < 1.1 * sum(LENGTHS)
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def test_batches_are_padded_to_their_longest() -> None:
    examples = Examples([Encoding([2, 7, 3], 3), Encoding(list(range(9)), 5)], np.array([1, 0]))
    batch, targets = examples.batch([1, 0], pad_id=0)
    assert batch.input_ids.shape == (2, 9)
    assert batch.attention_mask.sum(axis=1).tolist() == [9, 3]
    assert batch.token_type_ids.sum() == 4
    assert targets.tolist() == [0, 1]


@pytest.mark.parametrize("task", ["classification", "multi_label_classification"])
def test_each_window_carries_the_target_of_its_text(task: str) -> None:
    windows, target = [Encoding([2, 4, 3], 3), Encoding([2, 5, 3], 3)], np.array([0, 1])
    assert [found.tolist() for found in TASKS[task].spread(target, windows)] == [[0, 1], [0, 1]]


def test_balanced_weights_let_every_label_count_the_same() -> None:
    targets = np.array([0, 0, 0, 1])
    weights = balanced_class_weights(targets, 3)
    assert weights[0] * 3 == pytest.approx(weights[1] * 1)
    assert np.isfinite(weights).all()  # label 2 has no text
    several = np.array([[1, 0], [0, 0], [0, 0], [0, 1]], np.float32)
    assert balanced_class_weights(several, 2).tolist() == [3, 3]


TOKENS = Examples(
    [Encoding([2, 7, 8, 3], 4), Encoding([2, 7, 3], 3), Encoding([2, 3], 2)],
    [np.array([-1, 2, 0, -1]), np.array([-1, 1, -1]), np.array([-1, -1])],
)


def test_targets_of_tokens_are_padded_as_their_tokens_are() -> None:
    batch, targets = TOKENS.batch([1, 0], pad_id=0)
    assert batch.input_ids.shape == targets.shape == (2, 4)
    assert targets.dtype == np.int64
    assert targets.tolist() == [[-1, 1, -1, -1], [-1, 2, 0, -1]]
    assert TOKENS.batch([2], pad_id=0)[1].tolist() == [[-1, -1]]


def test_balanced_weights_of_tokens_count_what_is_read() -> None:
    read = np.array([2, 0, 1])
    np.testing.assert_array_equal(balanced_class_weights(TOKENS.targets, 3), balanced_class_weights(read, 3))


@pytest.mark.parametrize("target", [np.int64(1), np.array([1.0, 0.0], np.float32)])
def test_targets_of_texts_may_be_a_list(target: np.ndarray) -> None:
    encodings, targets = [Encoding([2, 3], 2)] * 3, [target] * 3
    batched = Examples(encodings, targets).batch([2, 0], pad_id=0)[1]
    np.testing.assert_array_equal(batched, [target, target])
    assert batched.dtype == target.dtype
    np.testing.assert_array_equal(balanced_class_weights(targets, 2), balanced_class_weights(np.array(targets), 2))

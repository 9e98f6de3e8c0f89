"""Encodings become rectangles, and many become batches within a budget."""

import numpy as np
import pytest

from retort.tokenization.batch import collate, plan_batches
from retort.tokenization.encoding import Encoding


def test_encodings_are_padded_to_the_longest() -> None:
    batch = collate([Encoding([5, 6, 7], 3), Encoding([5], 1), Encoding([5, 6, 8, 9], 2)], pad_id=4)
    assert batch.input_ids.tolist() == [[5, 6, 7, 4], [5, 4, 4, 4], [5, 6, 8, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    assert all(array.dtype == np.int64 for array in (batch.input_ids, batch.attention_mask, batch.token_type_ids))


def test_a_length_may_be_asked_for() -> None:
    assert collate([Encoding([5, 6], 2)], pad_id=0, length=6).input_ids.tolist() == [[5, 6, 0, 0, 0, 0]]


@pytest.mark.parametrize("budget", [1, 7, 16, 100, 10_000])
def test_batches_hold_every_index_once_within_the_budget(budget: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 200).tolist()
    batches = plan_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_nothing_makes_no_batches() -> None:
    assert plan_batches([], 10) == []

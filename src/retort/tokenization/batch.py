"""Encodings become batches: rectangles of ids that a model runs on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retort.tokenization.encoding import Encoding

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays (B, T): `input_ids`, `attention_mask` (1 on tokens, 0 on padding), `token_type_ids`."""

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids


def collate(encodings: Sequence[Encoding], pad_id: int, length: int | None = None, n_rows: int | None = None) -> Batch:
    """Pad encodings on the right to the longest of them, or to `length` tokens; below them rows of padding alone, where
    there shall be `n_rows`."""
    width = length or max(map(len, encodings))
    shape = (n_rows or len(encodings), width)
    ids, mask, types = np.full(shape, pad_id, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, e in enumerate(encodings):
        ids[row, : len(e)] = e.ids
        mask[row, : len(e)] = 1
        if e.n_first < len(e):
            types[row, e.n_first : len(e)] = 1
    return Batch(ids, mask, types)


def round_width(length: int) -> int:
    """The width of a batch whose longest encoding has `length` tokens: a little more, so that a runtime, which prepares
    for each shape that it meets, meets few.  Multiples of 4 up to 128, then 16 widths for each doubling.
    """
    step = max(4, 1 << max(0, (length - 1).bit_length() - 5))
    return -(-length // step) * step


def plan_batches(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Cut indices, ordered by length, into batches whose padded cost B * T stays within `max_batch_tokens`.

    An encoding longer than the budget gets a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):  # so each new one is the longest of its batch
        if batches and (len(batches[-1]) + 1) * lengths[index] <= max_batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches

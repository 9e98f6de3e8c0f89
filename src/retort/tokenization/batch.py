"""Encodings become batches: rectangles of ids that a model runs on."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retort.tokenization.encoding import Encoding

# A runtime prepares for each shape that it meets: 10 ms of computing and half a megabyte.  These are few enough to be
# prepared before the first request, and close enough that padding costs less than preparing for more of them.
WIDTHS = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512)
ROWS = (1, 2, 4, 8, 16, 32, 64)

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays (B, T): `input_ids`, `attention_mask` (1 on tokens, 0 on padding), `token_type_ids`; and for models that
    spell (B, T, C): `characters`, 0 where a token has no more."""

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids
    characters: Ids | None = None


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
    return Batch(ids, mask, types, _spell(encodings, shape) if encodings[0].characters is not None else None)


def _spell(encodings: Sequence[Encoding], shape: tuple[int, int]) -> Ids:
    rows = [np.asarray(e.characters, np.int64) for e in encodings]
    characters = np.zeros((*shape, rows[0].shape[-1]), np.int64)
    for row, found in enumerate(rows):
        characters[row, : len(found)] = found
    return characters


def round_width(length: int, max_width: int) -> int:
    """The width of a batch whose longest encoding has `length` tokens, at most `max_width`."""
    return min(_round_up(length, WIDTHS), max_width)


def round_rows(n: int) -> int:
    """How many rows a batch of `n` encodings has; those below them hold nothing but padding."""
    return _round_up(n, ROWS)


def trim_rows(n: int) -> int:
    """The most rows of at most `n` that need no padding."""
    return max((rows for rows in ROWS if rows <= n), default=1)


def _round_up(number: int, steps: Sequence[int]) -> int:
    last = steps[-1]
    at = bisect_left(steps, number)
    return steps[at] if at < len(steps) else -(-number // last) * last


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

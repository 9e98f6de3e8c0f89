"""Tokens of one input become encodings: model-ready id sequences, one or (for windows) several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from retort.config import LongText
from retort.tokenization.tokenizer import Tokenizer


class Word(NamedTuple):
    """A word that begins in an encoding: `position` of its first token there; `start` and `end` of the word in
    characters of the text."""

    position: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Encoding:
    """`ids` (T,) as the model takes them, special tokens included; the first `n_first` belong to segment 0, the others
    to segment 1.  `truncated` says that tokens of the input are in no encoding of it.

    For tasks that label words: those that begin in it, and for models that spell, the ids of each token's characters.
    """

    ids: Sequence[int]
    n_first: int
    truncated: bool = False
    words: Sequence[Word] = ()
    characters: Sequence[Sequence[int]] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def encode_text(ids: Sequence[int], tokenizer: Tokenizer, max_seq_len: int, long_text: LongText) -> list[Encoding]:
    """`[CLS] text [SEP]`, at most `max_seq_len` tokens each.

    `head` keeps the beginning of a longer text, `head_tail` as much of beginning as of end (the end gets the odd one),
    `windows` all of it in windows that overlap by a quarter.
    """
    pieces, truncated = cut(ids, max_seq_len - 2, long_text)
    return [Encoding([tokenizer.cls_id, *p, tokenizer.sep_id], len(p) + 2, truncated) for p in pieces]


def cut(ids: Sequence[int], room: int, long_text: LongText) -> tuple[list[Sequence[int]], bool]:
    """Pieces of at most `room`, and whether some of the ids are in none."""
    if len(ids) <= room:
        return [ids], False
    if long_text == "windows":
        stride = max(1, room - room // 4)
        starts = (min(s, len(ids) - room) for s in range(0, len(ids) - room + stride, stride))
        return [ids[start : start + room] for start in starts], False
    if long_text == "head_tail":
        return [[*ids[: room // 2], *ids[len(ids) - (room - room // 2) :]]], True
    return [ids[:room]], True


def extend(encoding: Encoding, length: int, pad_id: int) -> Encoding:
    """The encoding of a single text with padding up to `length` that counts as tokens, for models that attend to it."""
    missing = length - len(encoding)
    return Encoding([*encoding.ids, *[pad_id] * missing], encoding.n_first + missing, encoding.truncated)


def encode_pair(first: Sequence[int], second: Sequence[int], tokenizer: Tokenizer, max_seq_len: int) -> list[Encoding]:
    """`[CLS] first [SEP] second [SEP]`; when too long, the longer of the two loses its end."""
    room = max_seq_len - 3
    n_first, n_second = len(first), len(second)
    if n_first + n_second > room:
        shorter = min(n_first, n_second, room // 2)
        n_first, n_second = (shorter, room - shorter) if n_first <= n_second else (room - shorter, shorter)
    truncated = (n_first, n_second) != (len(first), len(second))
    sep = tokenizer.sep_id
    ids = [tokenizer.cls_id, *first[:n_first], sep, *second[:n_second], sep]
    return [Encoding(ids, n_first + 2, truncated)]

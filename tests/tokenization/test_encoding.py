"""Tokens become encodings that fit the model, whatever the text's length."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import tokenizers
from tokenizers import models

from retort.tokenization.encoding import Encoding, encode_pair, encode_text
from retort.tokenization.tokenizer import Tokenizer

CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = {"[PAD]": 0, "[CLS]": CLS, "[SEP]": SEP, "[UNK]": 1}
    return Tokenizer(tokenizers.Tokenizer(models.WordLevel(words, "[UNK]")))


def texts_of(encodings: Sequence[Encoding]) -> list[list[int]]:
    for encoding in encodings:
        assert (encoding.ids[0], encoding.ids[-1]) == (CLS, SEP)
    return [list(encoding.ids[1:-1]) for encoding in encodings]


@pytest.mark.parametrize("policy", ["head", "head_tail", "windows"])
@pytest.mark.parametrize("n", [0, 1, 8])
def test_a_text_that_fits_is_kept_whole(tokenizer: Tokenizer, policy: str, n: int) -> None:
    (encoding,) = encode_text(range(n), tokenizer, 10, policy)  # type: ignore[arg-type]
    assert texts_of([encoding]) == [list(range(n))]
    assert not encoding.truncated
    assert encoding.n_first == len(encoding) == n + 2


def test_head_keeps_the_beginning(tokenizer: Tokenizer) -> None:
    (encoding,) = encode_text(range(20), tokenizer, 10, "head")
    assert texts_of([encoding]) == [list(range(8))]
    assert encoding.truncated


@pytest.mark.parametrize(("length", "expected"), [(10, [0, 1, 2, 3, 16, 17, 18, 19]), (9, [0, 1, 2, 16, 17, 18, 19])])
def test_head_tail_gives_the_end_the_odd_token(tokenizer: Tokenizer, length: int, expected: list[int]) -> None:
    (encoding,) = encode_text(range(20), tokenizer, length, "head_tail")
    assert texts_of([encoding]) == [expected]
    assert encoding.truncated


@pytest.mark.parametrize("n", range(9, 60))
@pytest.mark.parametrize("length", [3, 4, 10])
def test_windows_hold_every_token_and_overlap(tokenizer: Tokenizer, n: int, length: int) -> None:
    encodings = encode_text(range(n), tokenizer, length, "windows")
    windows = texts_of(encodings)
    assert sorted({token for window in windows for token in window}) == list(range(n))
    assert all(len(window) == length - 2 for window in windows)
    assert all(later[0] <= earlier[-1] + 1 for earlier, later in pairwise(windows))
    assert len({tuple(window) for window in windows}) == len(windows), "no window twice"
    assert not any(encoding.truncated for encoding in encodings)


@pytest.mark.parametrize(
    ("n_first", "n_second", "kept"),
    [
        (2, 3, (2, 3)),
        (4, 3, (4, 3)),
        (20, 2, (5, 2)),
        (2, 20, (2, 5)),
        (20, 20, (4, 3)),
        (0, 20, (0, 7)),
        (0, 0, (0, 0)),
    ],
)
def test_of_a_pair_the_longer_text_loses_its_end(
    tokenizer: Tokenizer, n_first: int, n_second: int, kept: tuple[int, int]
) -> None:
    (encoding,) = encode_pair(range(n_first), range(50, 50 + n_second), tokenizer, 10)
    first, second = list(encoding.ids[: encoding.n_first]), list(encoding.ids[encoding.n_first :])
    assert (first[0], first[-1], second[-1]) == (CLS, SEP, SEP)
    assert {len(first) - 2, len(second) - 1} == set(kept)
    assert first[1:-1] == list(range(len(first) - 2))
    assert second[:-1] == list(range(50, 50 + len(second) - 1))
    assert encoding.truncated == ((n_first, n_second) != kept)
    assert len(encoding) <= 10

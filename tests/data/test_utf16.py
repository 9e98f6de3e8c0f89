"""Offsets of JavaScript, which counts UTF-16 units, become those of Python."""

import random

from retort.data.utf16 import Utf16


def encode(text: str) -> bytes:
    return text.encode("utf-16-le")


def test_a_quote_is_found_where_the_encoded_text_has_it() -> None:
    rng = random.Random(0)  # noqa: S311
    n_found = 0
    for _ in range(300):
        text = "".join(rng.choices("ab é你🎉🗽", k=rng.randrange(12)))
        begin = rng.randrange(len(text) + 1)
        quote = text[begin : begin + rng.randrange(1, 4)] or "a"
        units = Utf16(text)
        for start in range(-2, len(encode(text)) // 2 + 2):
            is_there = start >= 0 and encode(text).startswith(encode(quote), 2 * start)
            begins = len(encode(text)[: 2 * start].decode("utf-16-le", "ignore"))
            assert units.find(start, quote) == ((begins, begins + len(quote)) if is_there else None)
            n_found += is_there
        assert units.is_longer == (len(encode(text)) > 2 * len(text))
    assert n_found > 300

"""Stretches of a text that carry a label, and what becomes of those that cannot stand as they are."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

TRIMMED = "spans whose edges were white space (trimmed)"
BLANK = "spans of nothing but white space (dropped)"
OVERLAPPING = "spans that overlapped a longer one (dropped)"


class Span(NamedTuple):
    """Characters [start, end) of a text, counted in code points, and what they are."""

    start: int
    end: int
    label: str


def clean_spans(text: str, spans: Iterable[Span]) -> tuple[tuple[Span, ...], Counter[str]]:
    """Spans of `text` in its order, none blank, none overlapping; and what was mended: reason -> how often.

    White space at the edges is cut off.  Of spans that overlap, the longest stays, of equally long ones the first; a
    span that is there twice is one.
    """
    mended: Counter[str] = Counter()
    trimmed: dict[Span, None] = {}
    for span in spans:
        start, end = _trim(text, span)
        if start < end:
            trimmed[Span(start, end, span.label)] = None
            mended[TRIMMED] += (start, end) != (span.start, span.end)
        else:
            mended[BLANK] += 1
    kept = keep_longest(trimmed)
    mended[OVERLAPPING] += len(trimmed) - len(kept)
    return kept, +mended


def keep_longest(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Those that overlap none that is longer, or as long and earlier; in the text's order."""
    kept: list[Span] = []  # in the text's order
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        place = bisect(kept, span)
        after_last = place == 0 or kept[place - 1].end <= span.start
        before_next = place == len(kept) or span.end <= kept[place].start
        if after_last and before_next:
            kept.insert(place, span)
    return tuple(kept)


def _trim(text: str, span: Span) -> tuple[int, int]:
    start, end = span.start, span.end
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end

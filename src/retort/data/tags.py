"""Sequences of tags, one a word, become spans of words.  Knows no text, no file.

A tag is `O`, outside, or a prefix and a type: `B-creative-work`.  What the prefixes mean differs by scheme:

BIO    B begins an entity, I continues it                       (also named IOB2)
IOB1   I does both; B begins one right behind another of its type
BIOES  also E ends, and S is an entity of one word              (L and U in BILOU; M is I in BMES)
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from retort.data.spans import Span

Scheme = Literal["BIO", "IOB1", "BIOES"]
OUTSIDE = "O"
_PREFIXES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


class Tag(NamedTuple):
    """`prefix` is one of O, B, I, E and S; the `type` of O is empty."""

    prefix: str
    type: str


def parse_tag(tag: str) -> Tag | None:
    """Split at the first hyphen, for types may hold some; None where it is no tag."""
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    prefix, hyphen, kind = tag.partition("-")
    return Tag(_PREFIXES[prefix], kind) if hyphen and kind.strip() and prefix in _PREFIXES else None


def find_scheme(sequences: Iterable[Sequence[Tag]]) -> Scheme:
    """The scheme that a whole file's tags follow.

    It is IOB1 where no B stands but behind a word of its own type, and some I begins an entity.
    """
    begins_by_inside = begins_by_begin = False
    for tags in sequences:
        before = Tag(OUTSIDE, "")
        for tag in tags:
            if tag.prefix in "ES":
                return "BIOES"
            if tag.type != before.type:
                begins_by_inside |= tag.prefix == "I"
                begins_by_begin |= tag.prefix == "B"
            before = tag
    return "IOB1" if begins_by_inside and not begins_by_begin else "BIO"


def read_tags(tags: Sequence[Tag], scheme: Scheme) -> tuple[list[Span], int]:
    """Spans over the indices of the words, and how many of them had broken tags.

    Broken ones are read so: an I or E that continues nothing, or another type, begins an entity; an entity of BIOES
    without its E ends where its tags stop.
    """
    spans: list[Span] = []
    n_broken = 0
    start, kind, is_broken = 0, "", False  # of the open entity; no type: none is open

    def close(end: int, is_cut: bool) -> None:
        nonlocal kind, n_broken
        if kind:
            spans.append(Span(start, end, kind))
            n_broken += is_broken or is_cut
        kind = ""

    for index, tag in enumerate([*tags, Tag(OUTSIDE, "")]):
        continues = tag.prefix in "IE" and tag.type == kind and kind != ""
        if not continues:
            close(index, is_cut=scheme == "BIOES")
            if tag.type:
                start, kind = index, tag.type
                is_broken = tag.prefix == "E" or (tag.prefix == "I" and scheme != "IOB1")
        if tag.prefix in "ES":
            close(index + 1, is_cut=False)
    return spans, n_broken


def extract_spans(tags: Sequence[str]) -> list[Span]:
    """Spans over the indices of the words, of BIO read strictly: only a B begins one, and only its own type goes on.

    It is what seqeval finds in strict mode with IOB2.  Raises ValueError: something is no tag.
    """
    spans: list[Span] = []
    is_open = False
    for index, text in enumerate(tags):
        tag = parse_tag(text)
        if tag is None:
            raise ValueError(f"Expected O or a type behind B- or I-, got {text!r}.")
        if tag.prefix == "B":
            spans.append(Span(index, index + 1, tag.type))
            is_open = True
        elif is_open and tag.prefix == "I" and tag.type == spans[-1].label:
            spans[-1] = spans[-1]._replace(end=index + 1)
        else:
            is_open = False
    return spans


def list_tags(types: Iterable[str]) -> tuple[str, ...]:
    """The tags of a model in the order of its logits: O, then B and I of each type, types sorted."""
    return (OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI"))

import itertools
import random

import pytest
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from retort.data.spans import Span, clean_spans, keep_longest
from retort.data.tags import Tag, extract_spans, find_scheme, list_tags, parse_tag, read_tags

TYPES = ("person", "creative-work", "B-side")


def tags_of(line: str) -> list[Tag]:
    found = [parse_tag(tag) for tag in line.split()]
    assert None not in found
    return found  # type: ignore[return-value]


def read(line: str) -> tuple[str, list[tuple[int, int, str]], int]:
    tags = tags_of(line)
    scheme = find_scheme([tags])
    spans, n_broken = read_tags(tags, scheme)
    return scheme, [tuple(span) for span in spans], n_broken


def random_spans(rng: random.Random, n_words: int) -> list[Span]:
    spans, start = [], 0
    while (start := start + rng.choice((0, 0, 1, 2))) < n_words:
        end = min(n_words, start + rng.choice((1, 1, 2, 3)))
        spans.append(Span(start, end, rng.choice(TYPES)))
        start = end
    return spans


def spell(spans: list[Span], n_words: int, scheme: str) -> list[str]:
    """Spans that do not overlap, as tags of a scheme."""
    tags = ["O"] * n_words
    for i, (start, end, kind) in enumerate(spans):
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        if scheme == "IOB1" and not (i and spans[i - 1].end == start and spans[i - 1].label == kind):
            tags[start] = f"I-{kind}"
        if scheme in ("IOBES", "BILOU"):
            last, single = "ES" if scheme == "IOBES" else "LU"
            tags[end - 1] = f"{single if end - start == 1 else last}-{kind}"
    return tags


def found_by_seqeval(tags: list[str], scheme: type) -> list[tuple[int, int, str]]:
    (entities,) = Entities([tags], scheme).entities
    return [(e.start, e.end, e.tag) for e in entities]


@pytest.mark.parametrize(
    ("line", "scheme", "spans", "n_broken"),
    [
        ("B-a I-a O B-b", "BIO", [(0, 2, "a"), (3, 4, "b")], 0),
        ("B-a B-a I-a", "BIO", [(0, 1, "a"), (1, 3, "a")], 0),
        ("I-a I-a O I-b B-b", "IOB1", [(0, 2, "a"), (3, 4, "b"), (4, 5, "b")], 0),
        ("I-a I-b", "IOB1", [(0, 1, "a"), (1, 2, "b")], 0),
        ("B-a I-a E-a S-b O", "BIOES", [(0, 3, "a"), (3, 4, "b")], 0),
        ("B-a L-a U-b", "BIOES", [(0, 2, "a"), (2, 3, "b")], 0),
        ("B-a M-a E-a", "BIOES", [(0, 3, "a")], 0),
        ("B-creative-work I-creative-work", "BIO", [(0, 2, "creative-work")], 0),
        ("O O", "BIO", [], 0),
        # broken ones
        ("O I-a I-a B-a", "BIO", [(1, 3, "a"), (3, 4, "a")], 1),
        ("B-a O I-a", "BIO", [(0, 1, "a"), (2, 3, "a")], 1),
        ("B-a I-b I-b", "BIO", [(0, 1, "a"), (1, 3, "b")], 1),
        ("B-a I-a O S-b", "BIOES", [(0, 2, "a"), (3, 4, "b")], 1),
        ("B-a B-a E-a", "BIOES", [(0, 1, "a"), (1, 3, "a")], 1),
        ("O E-a I-a S-a", "BIOES", [(1, 2, "a"), (2, 3, "a"), (3, 4, "a")], 2),
        ("B-a E-b", "BIOES", [(0, 1, "a"), (1, 2, "b")], 2),
        ("S-a I-a E-a", "BIOES", [(0, 1, "a"), (1, 3, "a")], 1),
    ],
)
def test_tags_are_read_in_the_scheme_that_they_follow(line: str, scheme: str, spans: list, n_broken: int) -> None:
    if n_broken and scheme == "BIO":
        assert read_tags(tags_of(line), "BIO") == (spans, n_broken)
    else:
        assert read(line) == (scheme, spans, n_broken)


def test_the_scheme_is_that_of_the_whole_file() -> None:
    inside, begin = tags_of("O I-a"), tags_of("B-a")
    assert find_scheme([inside]) == "IOB1"
    assert find_scheme([inside, begin]) == "BIO"
    assert find_scheme([inside, begin, tags_of("S-a")]) == "BIOES"
    assert find_scheme([]) == "BIO"


@pytest.mark.parametrize("tag", ["", "o", "B", "B-", "B- ", "-a", "X-a", "a", "NNP", "BB-a", "B_a", "b-a", " O"])
def test_what_is_no_tag_is_none(tag: str) -> None:
    assert parse_tag(tag) is None


@pytest.mark.parametrize(("scheme", "reference"), [("BIO", IOB2), ("IOB1", IOB1), ("IOBES", IOBES)])
def test_whole_tags_are_read_as_seqeval_reads_them(scheme: str, reference: type) -> None:
    rng = random.Random(0)  # noqa: S311
    for _ in range(300):
        n_words = rng.randrange(1, 12)
        spans = random_spans(rng, n_words)
        tags = spell(spans, n_words, scheme)
        found = read_tags(tags_of(" ".join(tags)), "BIOES" if scheme == "IOBES" else scheme)  # type: ignore[arg-type]
        assert found == (spans, 0)
        assert found_by_seqeval(tags, reference) == spans


def test_every_scheme_says_the_same_of_whole_tags() -> None:
    rng = random.Random(1)  # noqa: S311
    for _ in range(300):
        n_words = rng.randrange(1, 12)
        spans = random_spans(rng, n_words)
        for scheme in ("BIO", "IOB1", "IOBES", "BILOU"):
            tags = tags_of(" ".join(spell(spans, n_words, scheme)))
            assert read_tags(tags, find_scheme([tags]))[0] == spans, scheme


def test_strict_reading_is_seqevals_also_of_broken_tags() -> None:
    rng = random.Random(2)  # noqa: S311
    tags = list_tags(TYPES)
    for _ in range(2000):
        sequence = rng.choices(tags, k=rng.randrange(1, 9))
        assert extract_spans(sequence) == found_by_seqeval(sequence, IOB2), sequence


def test_broken_tags_give_whole_spans_of_what_was_tagged() -> None:
    rng = random.Random(3)  # noqa: S311
    for _ in range(1000):
        sequence = [rng.choice("BIES") + "-" + rng.choice("ab") if rng.random() < 0.7 else "O" for _ in range(8)]
        tags = tags_of(" ".join(sequence))
        spans, n_broken = read_tags(tags, find_scheme([tags]))
        covered = [(i, s.label) for s in spans for i in range(s.start, s.end)]
        assert covered == [(i, tag.type) for i, tag in enumerate(tags) if tag.type]
        assert n_broken <= len(spans)


def test_strict_reading_finds_the_spans_of_sound_tags() -> None:
    rng = random.Random(4)  # noqa: S311
    for _ in range(300):
        spans = random_spans(rng, 9)
        assert extract_spans(spell(spans, 9, "BIO")) == spans


def test_the_tags_of_a_model_begin_outside_and_are_sorted_by_type() -> None:
    assert list_tags(["b", "a-c", "b"]) == ("O", "B-a-c", "I-a-c", "B-b", "I-b")


def test_strict_reading_refuses_what_is_no_tag() -> None:
    with pytest.raises(ValueError, match="'NNP'"):
        extract_spans(["O", "NNP"])


# --- spans of characters


def test_white_space_is_cut_off_the_edges_and_blank_spans_go() -> None:
    spans, mended = clean_spans(" Ada  in\u2003", [Span(0, 5, "a"), Span(4, 6, "b"), Span(6, 9, "c"), Span(2, 2, "d")])
    assert spans == ((1, 4, "a"), (6, 8, "c"))
    assert sum(mended.values()) == 4
    assert len(mended) == 2


def test_of_spans_that_overlap_the_longest_stays_and_then_the_first() -> None:
    a, b, c, d = Span(0, 4, "a"), Span(2, 9, "b"), Span(8, 12, "c"), Span(9, 11, "d")
    assert keep_longest([a, b, c, d]) == (b, d)
    assert keep_longest([Span(2, 4, "y"), Span(1, 3, "x")]) == (Span(1, 3, "x"),)
    assert keep_longest([Span(1, 3, "y"), Span(1, 3, "x")]) == (Span(1, 3, "y"),)
    assert clean_spans("x" * 20, [a, a, d]) == ((a, d), {})


def test_what_stays_never_overlaps_and_leaves_no_room_for_the_rest() -> None:
    rng = random.Random(5)  # noqa: S311
    for _ in range(500):
        starts = [rng.randrange(20) for _ in range(rng.randrange(12))]
        spans = [Span(start, start + rng.randrange(1, 8), rng.choice("ab")) for start in starts]
        kept = keep_longest(spans)
        assert all(left.end <= right.start for left, right in itertools.pairwise(kept))
        assert all(any(s.start < k.end and k.start < s.end for k in kept) for s in spans)

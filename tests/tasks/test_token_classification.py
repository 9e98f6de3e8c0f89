"""Words get tags, tags become entities, and an entity is always a part of the text as it was sent."""

import numpy as np
import pytest

from artifacts import tiny_tokenizer
from retort.data.spans import Span
from retort.errors import InvalidInput
from retort.tasks import TASKS, Decoding, EntityPrediction, Input
from retort.tasks.base import Floats, round_probability
from retort.tokenization.encoding import Encoding
from retort.tokenization.wordwise import central_words

TASK = TASKS["token_classification"]
KINDS = ("LOC", "PER")
TAGS = TASK.label_names(KINDS)
TOKENIZER = tiny_tokenizer()
STRANGE = [
    "你",
    "👍",
    "e\u0301",
    "\u202e",
    "\u200b",
    "İ",
    "ß",
    "ﬁ",
    "𝔸",
    "\x00",
    "\ufeff",
    "a",
    "Z",
    " ",
    "\t",
    ".",
    "#",
    "'",
]


def encode(text: str, length: int = 64) -> list[Encoding]:
    (found,) = TASK.encode([Input(text)], TOKENIZER, length, "windows")
    return found


def rows_saying(spans: list[Span], encodings: list[Encoding], sure: float = 8.0) -> list[Floats]:
    """Logits of a model that found just these."""
    (tags,) = TASK.targets([spans], [encodings], TAGS)
    learned = TASK.spread(tags, encodings)
    return [np.where(np.eye(len(TAGS))[row], sure, 0).astype(np.float32) for row in learned]


def find(text: str, rows: list[Floats], encodings: list[Encoding], **decoding: float) -> EntityPrediction:
    found = TASK.decode(Input(text), encodings, TASK.join(encodings, rows), Decoding(TAGS, **decoding))
    assert isinstance(found, EntityPrediction)
    return found


def test_tags_are_named_and_their_kinds_found_again() -> None:
    assert TAGS == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert TASK.labels_of(TAGS) == KINDS


@pytest.mark.parametrize("length", [64, 12, 7])
def test_what_was_marked_is_what_is_found_however_the_text_is_cut(length: int) -> None:
    text = "Ada Lovelace went to New York, then Bob and Eve to Oslo."
    spans = [Span(0, 12, "PER"), Span(21, 29, "LOC"), Span(36, 39, "PER"), Span(44, 47, "PER"), Span(51, 55, "LOC")]
    encodings = encode(text, length)
    assert (len(encodings) > 1) == (length < 64)
    found = find(text, rows_saying(spans, encodings), encodings)
    assert [(e.start, e.end, e.label) for e in found.entities] == spans
    assert [e.text for e in found.entities] == ["Ada Lovelace", "New York", "Bob", "Eve", "Oslo"]
    assert all(0.9 < e.probability <= 1 for e in found.entities)


def test_an_entity_is_the_text_between_its_ends_whatever_the_characters() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        text = "".join(rng.choice(STRANGE, rng.integers(0, 30)))
        encodings = encode(text, rng.choice([5, 9, 64]))
        rows = [rng.normal(0, 3, (len(encoding), len(TAGS))).astype(np.float32) for encoding in encodings]
        last = 0
        for e in find(text, rows, encodings).entities:
            assert e.text == text[e.start : e.end] != ""
            assert last <= e.start < e.end <= len(text)
            assert e.text == e.text.strip()
            assert e.label in KINDS
            assert 0 <= e.probability <= 1
            last = e.end


@pytest.mark.parametrize("text", ["", " ", "\n\t", "nothing here"])
def test_no_entities_are_an_empty_list(text: str) -> None:
    encodings = encode(text)
    found = find(text, rows_saying([], encodings), encodings)
    assert (found.answer, found.label, found.probability, found.summary, found.ranked) == ([], [], [], {}, ())


def test_a_word_that_an_entity_touches_belongs_to_it() -> None:
    text = "Newyorkers left"
    encodings = encode(text)
    (tags,) = TASK.targets([[Span(0, 7, "LOC"), Span(7, 10, "PER")]], [encodings], TAGS)
    assert [TAGS[tag] for tag in tags] == ["B-LOC", "O"]


def test_neighbours_stay_apart() -> None:
    text = "Oslo Bergen"
    encodings = encode(text)
    spans = [Span(0, 4, "LOC"), Span(5, 11, "LOC")]
    assert [e.text for e in find(text, rows_saying(spans, encodings), encodings).entities] == ["Oslo", "Bergen"]


def test_every_token_that_begins_no_word_is_left_out_of_learning() -> None:
    text = "Lovelace, Ada"
    encodings = encode(text)
    (tags,) = TASK.targets([[Span(0, 8, "PER")]], [encodings], TAGS)
    (learned,) = TASK.spread(tags, encodings)
    positions = [word.position for _, word in central_words(encodings)]
    assert learned[positions].tolist() == tags.tolist() == [3, 0, 0]
    assert (np.delete(learned, positions) == -1).all()


def test_a_window_that_begins_within_an_entity_leaves_the_rest_of_it_to_the_one_before() -> None:
    text = "how to java python sql join list sort to how to java"
    encodings = encode(text, 7)
    (tags,) = TASK.targets([[Span(4, 43, "PER")]], [encodings], TAGS)
    for learned in TASK.spread(tags, encodings):
        first = next((tag for tag in learned if tag >= 0), 0)
        assert TAGS[first][:2] != "I-", "no legal sequence of tags begins so, and a CRF could not learn it"


def test_a_warmer_temperature_is_less_sure_of_the_same_entities() -> None:
    text = "in Oslo"
    encodings = encode(text)
    rows = rows_saying([Span(3, 7, "LOC")], encodings, sure=4.0)
    (sure,), (unsure,) = find(text, rows, encodings).entities, find(text, rows, encodings, temperature=3.0).entities
    assert (sure.start, sure.label) == (unsure.start, unsure.label)
    assert sure.probability > unsure.probability


def test_the_log_gets_counts_and_json_gets_rounded_numbers() -> None:
    text = "Bob, Eve, Oslo"
    encodings = encode(text)
    spans = [Span(0, 3, "PER"), Span(5, 8, "PER"), Span(10, 14, "LOC")]
    found = find(text, rows_saying(spans, encodings, sure=3.0), encodings)
    assert found.summary == {"PER": 2, "LOC": 1}
    first, *_ = found.entities
    assert found.answer[0] == {
        "label": "PER", "text": "Bob", "start": 0, "end": 3, "probability": round_probability(first.probability)
    }  # fmt: skip
    assert [probability for _, probability in found.ranked] == sorted(found.probability, reverse=True)


def test_a_pair_is_refused() -> None:
    with pytest.raises(InvalidInput, match="one text, got a pair"):
        TASK.parse({"text": "a", "text_pair": "b"})

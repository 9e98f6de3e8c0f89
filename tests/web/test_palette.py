"""Colours follow from names alone, and both languages find the same."""

import string

import pytest
from browser import Open

from retort.web.palette import FAMILIES, N_OTHERS, assign_slots, types_of

ONTONOTES = (
    *("CARDINAL", "DATE", "EVENT", "FAC", "GPE", "LANGUAGE", "LAW", "LOC", "MONEY", "NORP", "ORDINAL", "ORG"),
    *("PERCENT", "PERSON", "PRODUCT", "QUANTITY", "TIME", "WORK_OF_ART"),
)
LISTS = [
    ("LOC", "MISC", "ORG", "PER"),
    ("corporation", "creative-work", "group", "location", "person", "product"),
    ONTONOTES,
    tuple(string.ascii_letters),
    ("O", "B-LOC", "I-LOC", "B-", "I-I-x", "B-B-x"),
    ("", " ", "é", "你", "👍", "\ue000", "\U0001f600", "İ", "ſ", "ORG", "Organisation"),
    ("\ud800", "\udc00\ud800", "a\ud83d"),
]


@pytest.mark.parametrize("name", ["ORG", "organisation", "Corporation", "loc", "Location", "PERSON", "per", "MISC"])
def test_well_known_types_have_their_colours(name: str) -> None:
    assert assign_slots(["x", name])[name] in FAMILIES
    assert name.lower() in FAMILIES[assign_slots([name])[name]]


@pytest.mark.parametrize("types", LISTS[:3])
def test_types_of_one_model_differ(types: tuple[str, ...]) -> None:
    assert len({*assign_slots(types).values()}) == len(types)


def test_order_and_tags_do_not_matter() -> None:
    tags = ["O", *(f"{letter}-{name}" for name in ONTONOTES for letter in "BI")]
    assert assign_slots(reversed(ONTONOTES)) == assign_slots(ONTONOTES) == assign_slots(tags)
    assert types_of(tags) == sorted(ONTONOTES)


def test_colours_stay_from_version_to_version() -> None:
    assert assign_slots(["DATE", "product", "ORG"]) == {"DATE": "other-17", "ORG": "org", "product": "other-20"}


def test_more_types_than_colours_share_them() -> None:
    assert {*assign_slots(f"t{n}" for n in range(100)).values()} == {f"other-{n}" for n in range(N_OTHERS)}


def test_the_page_finds_the_same_colours(open_page: Open) -> None:
    page = open_page().page
    found = page.evaluate(
        "async (lists) => { const { assignSlots } = await import('/playground/palette.js');"
        " return lists.map((labels) => [...assignSlots(labels.map((u) => String.fromCharCode(...u))).values()]) }",
        [[units(label) for label in labels] for labels in LISTS],
    )
    assert found == [list(assign_slots(labels).values()) for labels in LISTS]


def units(text: str) -> list[int]:
    """UTF-16, also of halves of characters, which no JSON carries to a page."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    return [low | high << 8 for low, high in zip(encoded[::2], encoded[1::2], strict=True)]

"""The JSON of an answer becomes what the page without JavaScript shows of it: a sentence, bars, marks in the text."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retort.tasks.base import Kind
from retort.web.palette import assign_slots

MAX_LABEL = 60  # characters in a sentence; bars and marks have room for all of it


@dataclass(frozen=True, slots=True)
class Bar:
    """One label; `share` is a length in SVG."""

    label: str
    percent: str
    share: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; an entity where it has a `label`.  `start` and `end` count code points."""

    text: str
    label: str = ""
    slot: str = ""
    percent: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """One text's answer.  Bars for labels, pieces for entities; `legend` has slot and count of each type."""

    sentence: str
    model: str
    is_truncated: bool
    bars: Sequence[Bar] = ()
    pieces: Sequence[Piece] = ()
    legend: Mapping[str, tuple[str, int]] | None = None

    @property
    def direction(self) -> str:
        """How the text is read, as HTML says it."""
        return find_direction("".join(piece.text for piece in self.pieces))

    @property
    def entities(self) -> list[Piece]:
        """The pieces that are."""
        return [piece for piece in self.pieces if piece.slot]


def show_answer(response: Mapping[str, Any], text: str, kind: Kind, labels: Sequence[str]) -> Shown:
    """Of a response to one text; `kind` says what its predictions are, `labels` are the model's."""
    (prediction,), (usage,) = response["predictions"], response["usage"]
    is_truncated = bool(usage["truncated"])
    if kind == "entities":
        slots = assign_slots([*labels, *(entity["label"] for entity in prediction)])
        pieces = cut_text(text, prediction, slots)
        counts = Counter(piece.label for piece in pieces if piece.slot)
        legend = {label: (slots[label], counts[label]) for label in sorted(counts)}
        return Shown(count_entities(counts.total()), response["model"], is_truncated, pieces=pieces, legend=legend)
    chosen = prediction if isinstance(prediction, list) else [prediction]
    (top,) = response["top"]
    bars = [
        Bar(
            each["label"],
            format_percent(each["probability"]),
            f"{each['probability'] * 100:.1f}%",
            each["label"] in chosen,
        )
        for each in top
    ]
    said = [f"{_cut(bar.label)}, {bar.percent}" for bar in bars if bar.is_chosen]
    return Shown("; ".join(said) or "No label is probable enough.", response["model"], is_truncated, bars)


def cut_text(text: str, entities: Sequence[Mapping[str, Any]], slots: Mapping[str, str]) -> list[Piece]:
    """The whole text in pieces, in its order; an entity that overlaps the one before is left plain."""
    pieces: list[Piece] = []
    at = 0
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        start, end, label = entity["start"], entity["end"], entity["label"]
        if not at <= start < end <= len(text):
            continue
        if start > at:
            pieces.append(Piece(text[at:start]))
        percent = format_percent(entity["probability"])
        pieces.append(Piece(text[start:end], label, slots[label], percent, start, end))
        at = end
    return pieces + ([Piece(text[at:])] if at < len(text) else [])


def find_direction(text: str) -> str:
    """`rtl` where the first letter of a text is of a script that is read from the right, else `ltr`."""
    strong = (kind for c in text if (kind := unicodedata.bidirectional(c)) in ("L", "R", "AL"))
    return "ltr" if next(strong, "L") == "L" else "rtl"


def count_entities(n: int) -> str:
    """A sentence."""
    return "No entities found." if n == 0 else "1 entity found." if n == 1 else f"{n} entities found."


def format_percent(probability: float) -> str:
    """With one digit; nothing is quite certain."""
    if probability >= 0.9995:
        return "over 99.9 %"
    return "under 0.1 %" if probability < 0.0005 else f"{probability * 100:.1f} %"


def _cut(label: str) -> str:
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…"

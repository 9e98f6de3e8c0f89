"""Types of entities become slots of the palette; `static/palette.js` does the same, and a test holds them together.

A slot is a class of `static/palette.css`.  It follows from the names of a model's types alone, so a type keeps its
colour from answer to answer and from run to run.
"""

from collections.abc import Iterable

FAMILIES = {
    "org": ("org", "organization", "organisation", "corporation"),  # green
    "loc": ("loc", "location"),  # red
    "per": ("per", "person"),  # blue
    "misc": ("misc", "miscellaneous"),  # purple
}
N_OTHERS = 24

_FAMILY = {name: family for family, names in FAMILIES.items() for name in names}


def types_of(labels: Iterable[str]) -> list[str]:
    """The types that a model's tags (`B-LOC`, `I-LOC`, `O`) or bare labels speak of, in order."""
    names = {label[2:] if label[:2] in ("B-", "I-") else label for label in labels if label != "O"}
    return sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def assign_slots(types: Iterable[str]) -> dict[str, str]:
    """A slot for each of a model's types: its family's, else the first free one from where its name hashes to."""
    slots: dict[str, str] = {}
    taken: set[int] = set()
    for name in types_of(types):
        if (family := _FAMILY.get(name.lower())) is not None:
            slots[name] = family
            continue
        place = _hash(name) % N_OTHERS
        if len(taken) < N_OTHERS:
            while place in taken:
                place = (place + 1) % N_OTHERS
            taken.add(place)
        slots[name] = f"other-{place}"
    return slots


def _hash(name: str) -> int:
    """FNV-1a over UTF-16 units, which JavaScript has at hand; 32 bits."""
    units = name.encode("utf-16-le", "surrogatepass")
    found = 2166136261
    for low, high in zip(units[::2], units[1::2], strict=True):
        found = ((found ^ (high << 8 | low)) * 16777619) & 0xFFFFFFFF
    return found

"""Names of a table's columns become the roles they play: text, second text, label.  Knows no file format."""

from collections import Counter
from collections.abc import Sequence

from retort.errors import BadData

# In the order in which they are tried; upper and lower case are one.
TEXTS = (
    *("text", "post", "question", "sentence", "utterance", "query", "message", "sms", "content", "comment", "review"),
    *("tweet", "document", "passage", "description", "body", "input", "title", "headline", "subject", "texts", "x"),
)
LABELS = (
    *("label", "labels", "tag", "tags", "category", "categories", "class", "classes", "intent", "intents", "topic"),
    *("topics", "sentiment", "emotion", "target", "gold", "label_text", "label_name", "y"),
)
PAIRS = (
    *(("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text_a", "text_b")),
    *(("text", "text_pair"), ("text1", "text2")),
)


def choose_columns(
    names: Sequence[str],
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    with_label: bool = True,
) -> dict[str, str]:
    """Role -> name of the column that plays it: `text`, `label` (unless without) and, for sentence pairs, `text_pair`.

    Roles that are not given are guessed; two texts are guessed only from the well-known `PAIRS`, and only where no text
    column was given.  Raises BadData, listing the columns present.
    """
    twice = [repr(name) for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise BadData(f"the column {', '.join(twice)} is there more than once; rename one of them")
    chosen = {
        role: _given(names, column, role)
        for role, column in (("text", text), ("text_pair", text_pair), ("label", label))
        if column is not None
    }
    if "text" not in chosen:
        chosen |= _guess_texts(names, chosen)
    if with_label and "label" not in chosen:
        chosen["label"] = _guess(names, "label", LABELS, chosen)
    if len(set(chosen.values())) < len(chosen):
        parts = ", ".join(f"{role}: {name!r}" for role, name in chosen.items())
        raise BadData(f"one column cannot play two parts ({parts}); give each its own")
    return {role: chosen[role] for role in ("text", "text_pair", "label") if role in chosen}


def _given(names: Sequence[str], column: str, role: str) -> str:
    if column in names:
        return column
    found = _named(names, column)
    if len(found) != 1:
        raise BadData(f"expected the {role.replace('_', ' ')} column {column!r}; the columns are: {_listed(names)}")
    return found[0]


def _guess_texts(names: Sequence[str], chosen: dict[str, str]) -> dict[str, str]:
    taken = set(chosen.values())
    for first, second in PAIRS:
        found, pair = _named(names, first), _named(names, second)
        if len(found) == len(pair) == 1 and found[0] not in taken and chosen.get("text_pair", pair[0]) == pair[0]:
            return {"text": found[0], "text_pair": pair[0]} if pair[0] != chosen.get("label") else {"text": found[0]}
    return {"text": _guess(names, "text", TEXTS, chosen)}


def _guess(names: Sequence[str], role: str, candidates: Sequence[str], chosen: dict[str, str]) -> str:
    free = [name for name in names if name not in chosen.values()]
    for candidate in candidates:
        found = _named(free, candidate)
        if len(found) > 1:
            raise BadData(f"{' and '.join(map(repr, found))} could both be the {role}; give --{role}-column")
        if found:
            return found[0]
    hint = ""
    if len(names) == 1 and (separator := next((c for c in ";\t|" if c in names[0]), None)):
        hint = f"; they seem to be separated by {separator!r}: expected commas in .csv and tabs in .tsv"
    raise BadData(
        f"expected a {role} column named {', '.join(candidates[:4])} or the like in the first line; "
        f"the columns are: {_listed(names)}{hint}; give --{role}-column if it has another name"
    )


def _named(names: Sequence[str], wanted: str) -> list[str]:
    return [name for name in names if name.strip().casefold() == wanted.strip().casefold()]


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:39]}…" for name in names[:20]]
    return ", ".join(map(repr, shown)) + (f" and {len(names) - 20} more" if len(names) > 20 else "")

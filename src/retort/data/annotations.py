"""A JSON object becomes a text with spans, or words with tags, whichever tool wrote it.  Knows no file.

{"tokens": [...], "tags": ["O", "B-person", ...]}                  also `words`; `ner_tags`, `labels`
{"text": ..., "spans": [{"start", "end", "label"}, ...]}           also `entities`, `labels`, `label`, `annotations`
{"text": ..., "label": [[start, end, "person"], ...]}              doccano; newer ones have `start_offset`, `end_offset`
{"text": ..., "label": [{"start", "end", "labels": [...]}]}        Label Studio, JSON-MIN
{"data": {"text": ...}, "annotations": [{"result": [...]}]}        Label Studio, JSON
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from retort.data.columns import TEXTS
from retort.data.spans import Span
from retort.data.tags import Tag, parse_tag

WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "ner", "labels", "label")
SPANS = ("spans", "entities", "labels", "label", "annotations")
_STARTS, _ENDS, _TYPES = ("start", "start_offset"), ("end", "end_offset"), ("label", "labels", "type")
CONVERTED = "spans that counted UTF-16 units, as JavaScript does (converted)"
MISQUOTED = "spans that cover another text than the one they quote (kept; look at line ends and emoji)"


class Tagged(NamedTuple):
    """As many `tags` as `words`."""

    words: Sequence[str]
    tags: Sequence[Tag]


class Marked(NamedTuple):
    """Spans within `text`, as they were given but for what is `mended`: reason -> how often."""

    text: str
    spans: Sequence[Span]
    mended: Counter[str]


def parse_annotation(
    item: Mapping[str, Any], text: str | None = None, label: str | None = None
) -> Tagged | Marked | None:
    """What `item` says; None where nobody annotated it.  `text` and `label` name its keys where they are unusual.

    Raises ValueError, one sentence: it is none of the shapes, or a span or tag of it is none.
    """
    words = _first(item, (text,) if text else WORDS)
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        tags = _first(item, (label,) if label else TAGS)
        if tags is not None:
            return _parse_tagged(words, tags)
    if isinstance(item.get("data"), dict) and (results := _first(item, ("annotations", "completions"))) is not None:
        return _parse_task(item["data"], results, text)
    found = _first(item, (text,) if text else TEXTS)
    if not isinstance(found, str):
        names = ", ".join(repr(name[:40]) for name in [*item][:20]) or "none"
        raise ValueError(f"expected `text` and `spans`, or `tokens` and `tags`; the names are: {names}")
    return _parse_marked(found, _first(item, (label,) if label else SPANS))


def _first(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of the names that says something."""
    return next((item[name] for name in names if item.get(name) is not None), None)


def _parse_tagged(words: list[str], tags: object) -> Tagged:
    if not isinstance(tags, list):
        raise ValueError(f"expected a list of tags, got {type(tags).__name__}")
    if len(tags) != len(words):
        raise ValueError(f"expected as many tags as words, got {len(tags)} for {len(words)}")
    return Tagged(words, [_parse_tag(tag) for tag in tags])


def _parse_tag(tag: object) -> Tag:
    if isinstance(tag, int):
        raise ValueError(f"expected tags by name, such as B-person, got the number {tag}; write their names instead")
    parsed = parse_tag(tag) if isinstance(tag, str) else None
    if parsed is None:
        raise ValueError(f"expected a tag such as O or B-person, got {str(tag)[:40]!r}")
    return parsed


def _parse_task(data: Mapping[str, Any], annotations: object, text: str | None) -> Marked | None:
    """Of several people's annotations the first that was not cancelled; of its parts those that mark the text."""
    found = _first(data, (text,) if text else TEXTS)
    if not isinstance(found, str):
        raise ValueError("expected a string `text` in `data`; --text-column gives another name")
    if not isinstance(annotations, list) or not all(isinstance(part, dict) for part in annotations):
        raise ValueError("expected `annotations` to be a list of objects with `result`")
    done = [part for part in annotations if not part.get("was_cancelled")]
    if not done:
        return None
    result = done[0].get("result")
    if not isinstance(result, list) or not all(isinstance(part, dict) for part in result):
        raise ValueError("expected `result` to be a list of objects with `value`")
    values = [part.get("value") for part in result]  # relations have none, choices no labels
    return _parse_marked(found, [value for value in values if isinstance(value, dict) and "labels" in value])


def _parse_marked(text: str, spans: object) -> Marked | None:
    if spans is None:
        return None
    if not isinstance(spans, list):
        raise ValueError(f"expected a list of spans, got {type(spans).__name__}")
    parsed: list[Span] = []
    mended: Counter[str] = Counter()
    for span in spans:
        start, end, kinds, quote = _take_apart(span)
        covered = text[max(0, start) : max(0, end)]
        if isinstance(quote, str) and quote.strip() and _squeeze(covered) != _squeeze(quote):
            converted = _from_utf16(text, start, quote)
            mended[CONVERTED if converted else MISQUOTED] += 1
            start, end = converted or (start, end)
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"expected 0 <= start <= end <= {len(text)}, the text's length, got {start} and {end}")
        parsed += [Span(start, end, kind) for kind in kinds]
    return Marked(text, parsed, mended)


def _take_apart(span: object) -> tuple[int, int, list[str], object]:
    """Start, end, types (several where one stretch was given several), and the text that the span says it covers."""
    quote: object = None
    if isinstance(span, dict):
        start, end, kinds = (_first(span, names) for names in (_STARTS, _ENDS, _TYPES))
        quote = span.get("text")
    elif isinstance(span, list) and len(span) == 3:
        start, end, kinds = span
    else:
        raise ValueError(f"expected a span as an object with start, end and label, or a list of them, got {span!r:.60}")
    for value in (start, end):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected start and end of a span to be whole numbers, got {value!r:.40}")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not kinds or not all(isinstance(kind, str) and kind.strip() for kind in kinds):
        raise ValueError(f"expected a span's label to be a string that names its type, got {kinds!r:.60}")
    return start, end, [kind.strip() for kind in kinds], quote


def _squeeze(text: str) -> str:
    """White space is not always quoted as it stands; Label Studio writes a line's end as a backslash and an n."""
    return "".join(text.replace("\\n", " ").split())


def _from_utf16(text: str, start: int, quote: str) -> tuple[int, int] | None:
    """Where `quote` stands in characters, if it stands at `start` in UTF-16 units, of which an emoji has two."""
    units = text.encode("utf-16-le", "surrogatepass")
    if start < 0 or not units.startswith(quote.encode("utf-16-le", "surrogatepass"), 2 * start):
        return None
    begin = len(units[: 2 * start].decode("utf-16-le", "surrogatepass"))
    return begin, begin + len(quote)

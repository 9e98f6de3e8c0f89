"""A file of texts with marked spans becomes a table, whether words are tagged or characters are counted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retort.data.annotations import SPANS, Marked, Tagged, parse_annotation
from retort.data.conll import read_sentences
from retort.data.files import open_bytes, split_suffix
from retort.data.formats import broken, naming_damage
from retort.data.objects import Objects, read_array, read_lines
from retort.data.parquet import class_names, open_parquet, values_of
from retort.data.readers import EMPTY_TEXT, NO_LABEL, Row, Table, whole
from retort.data.spans import Span, clean_spans
from retort.data.tags import Scheme, find_scheme, read_tags
from retort.errors import BadData

BROKEN = "entities with broken tags (an I that continues nothing begins one; what lacks its E ends where it stops)"
KNOWN = (
    "expected words with tags in columns (.conll .bio .iob .tsv .txt), JSON Lines (.jsonl), a JSON array (.json), "
    "or .parquet, each also with .gz"
)
Items = Iterator[tuple[int, Tagged | Marked | None]]


def read_tagged(
    path: Path, text_column: str | None = None, text_pair_column: str | None = None, label_column: str | None = None
) -> Table:
    """Read a file of texts with spans; words are joined by one blank, and spans are characters of what that gives.

    `text_column` and `label_column` are names in JSON and Parquet, numbers from 1 in columns of words; the table's
    `columns` are those that were given.  Broken tags and spans that cannot stand are mended and counted in `repaired`.

    Raises BadData: missing or damaged file, what is no tag or no span (with the line), no span at all.
    """
    if text_pair_column is not None:
        raise BadData("Spans are marked in one text; leave out --text-pair-column.")
    with naming_damage(path):
        items = [*_read_items(path, text_column, label_column)]
    scheme = find_scheme(item.tags for _, item in items if isinstance(item, Tagged))
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    for line, item in items:
        if item is None:
            dropped[NO_LABEL] += 1
            continue
        row, mended = _build_row(path, line, item, scheme)
        if row.fields["text"].strip():
            rows.append(row)
            repaired += mended
        else:
            dropped[EMPTY_TEXT] += 1
    if not any(row.spans for row in rows):
        parts = [f"{len(rows)} without a span", *(f"{count} with {reason}" for reason, count in dropped.items())]
        hint = f"; spans are looked for under {', '.join(SPANS)}, or --label-column" if dropped[NO_LABEL] else ""
        raise BadData(f"{path} holds no text to learn from: {', '.join(parts)}{hint}.")
    given = {"text": text_column, "label": label_column}
    columns = {role: column for role, column in given.items() if column is not None}
    return Table(path, rows, any(len(row.labels) != 1 for row in rows), dict(+dropped), columns, dict(repaired))


def _build_row(path: Path, line: int, item: Tagged | Marked, scheme: Scheme) -> tuple[Row, Counter[str]]:
    """One row, and what was mended of it."""
    mended: Counter[str] = Counter()
    if isinstance(item, Tagged):
        found, mended[BROKEN] = read_tags(item.tags, scheme)
        item = _join(item.words, found)
    spans, of_spans = clean_spans(item.text, item.spans)
    try:
        text = whole(item.text)
        types = sorted({whole(span.label) for span in spans})
    except ValueError as e:
        raise broken(path, line, str(e)) from e
    return Row({"text": text}, tuple(types), line, spans), mended + item.mended + of_spans


def _read_items(path: Path, text: str | None, label: str | None) -> Items:
    suffix = split_suffix(path)[0]
    with open_bytes(path) as stream:
        start = stream.read(2**12).removeprefix(b"\xef\xbb\xbf").split()
    if not start:
        raise BadData(f"{path} is empty.")
    if suffix == ".csv":
        raise BadData(f"{path} is CSV, which marks no spans; {KNOWN}.")
    if suffix in (".parquet", ".pq"):
        yield from _parse_objects(path, _read_parquet(path), text, label)
    elif suffix == ".json" and start[0].startswith(b"["):
        yield from _parse_objects(path, read_array(path), text, label)
    elif suffix in (".jsonl", ".ndjson", ".json"):
        yield from _parse_objects(path, read_lines(path), text, label)
    else:
        for sentence in read_sentences(path, text, label):
            yield sentence.line, Tagged(sentence.words, sentence.tags)


def _parse_objects(path: Path, objects: Objects, text: str | None, label: str | None) -> Items:
    for line, content, _ in objects:
        if isinstance(content, str):
            raise broken(path, line, content)
        try:
            yield line, parse_annotation(content, text, label)
        except ValueError as e:
            raise broken(path, line, str(e)) from e


def _read_parquet(path: Path) -> Objects:
    with open_parquet(path) as file:
        names = class_names(file.schema)
        line = 0
        for batch in file.batches():
            columns = [_name_all(values_of(batch.column(name)), names.get(name, ())) for name in file.names]
            for values in zip(*columns, strict=True):
                line += 1
                content: dict[str, Any] = dict(zip(file.names, values, strict=True))
                yield line, content, ""


def _name_all(values: list[object], names: Sequence[str]) -> list[object]:
    """Lists of the numbers of `names` become lists of names; other values stay."""
    if not names:
        return values
    known = dict(enumerate(names))
    return [
        [known.get(n, n) if isinstance(n, int) else n for n in value] if isinstance(value, list) else value
        for value in values
    ]


def _join(words: Sequence[str], spans: Sequence[Span]) -> Marked:
    """Spans over the indices of words become spans over the characters of their text."""
    starts, length = [], 0
    for word in words:
        starts.append(length)
        length += len(word) + 1
    moved = [Span(starts[s.start], starts[s.end - 1] + len(words[s.end - 1]), s.label) for s in spans]
    return Marked(" ".join(words), moved, Counter())

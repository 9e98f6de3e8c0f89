"""A file of labelled text becomes a table: rows of fields and labels, and the count of what could not be used."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retort.data.columns import choose_columns
from retort.data.formats import broken, read_records
from retort.data.spans import Span
from retort.errors import BadData

EMPTY_TEXT, NO_LABEL = "empty text", "no label"
SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Row:
    """`fields` are `text` and perhaps `text_pair`, as a task parses them; `labels` may be empty, never repeated.

    `spans` are those of the text that carry a label, in its order and apart; `labels` are then their types, sorted.
    """

    fields: dict[str, str]
    labels: tuple[str, ...]
    line: int  # in the file: the header is 1; of Parquet, the first row is
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """What one file holds.

    `multi_label`: a row has not exactly one label, or labels are written as lists.  `dropped`: reason -> rows.
    `columns`: role -> name of the column that played it.  `repaired`: what was broken -> how often.
    """

    path: Path
    rows: list[Row]
    multi_label: bool
    dropped: dict[str, int]
    columns: dict[str, str]
    repaired: dict[str, int] = field(default_factory=dict)


def read_table(
    path: Path, text_column: str | None = None, text_pair_column: str | None = None, label_column: str | None = None
) -> Table:
    """Read a file of labelled text; columns that are not given are guessed.

    Several labels of one row are separated by `|`, or are a list: a JSON one, also as text in CSV and TSV.  An empty
    list says that no label holds; an empty value says nothing, so the row is dropped.  Numbers and truth values
    become the strings that JSON writes for them; a whole number stays one where a gap made its column floats.

    Raises BadData: missing or damaged file, wrong columns, no row to use.
    """
    columns: dict[str, str] = {}

    def choose(names: Sequence[str]) -> Sequence[str]:
        columns.update(choose_columns(names, text_column, text_pair_column, label_column))
        return list(columns.values())

    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    listed = False
    for line, values in read_records(path, choose):
        try:
            found = dict(zip(columns, values, strict=True))
            labels, is_list = parse_labels(found.pop("label"))
            fields = {role: _text(value, columns[role]) for role, value in found.items()}
        except ValueError as e:
            raise broken(path, line, str(e)) from e
        if not all(text.strip() for text in fields.values()):
            dropped[EMPTY_TEXT] += 1
        elif labels is None:
            dropped[NO_LABEL] += 1
        else:
            rows.append(Row(fields, labels, line))
            listed |= is_list
    if not rows:
        parts = ", ".join(f"{count} with {reason}" for reason, count in dropped.items())
        raise BadData(f"{path} holds no row to learn from: {parts or 'it has a header at most'}.")
    return Table(path, rows, listed or any(len(row.labels) != 1 for row in rows), dict(dropped), columns)


def parse_labels(value: object) -> tuple[tuple[str, ...] | None, bool]:
    """The labels that a value spells, None where it says nothing; and whether it is a list.

    Raises ValueError: it is nothing that can name labels.
    """
    if isinstance(value, str):
        value = value.strip()
        if value[:1] == "[" and value[-1:] == "]":
            value = _parse_list(value)
    if isinstance(value, list):
        names = [_label(part) for part in value]
        if None in names:
            raise ValueError(f"expected a list of labels, got {str(value)[:100]}, which holds an empty one")
        return tuple(dict.fromkeys(name for name in names if name is not None)), True
    name = _label(value)
    if name is None or SEPARATOR not in name:
        return (None if name is None else (name,)), False
    parts = tuple(dict.fromkeys(part.strip() for part in name.split(SEPARATOR) if part.strip()))
    return parts or None, False


def _parse_list(value: str) -> object:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        if value.startswith("['"):  # pandas writes lists so
            raise ValueError(f"{value[:100]} is a list in Python's spelling; write it as JSON, or use `|`") from None
        return value  # a label that happens to stand in brackets
    return found if isinstance(found, list) else value


def _label(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"expected a label to be a string or a number, got {type(value).__name__}")
    return whole(value.strip()) or None


def _text(value: object, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"expected {column!r} to be a string, got {type(value).__name__}")
    return whole(value)


def whole(text: str) -> str:
    """The same text.  Raises ValueError: JSON can spell halves of characters, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise ValueError("a lone surrogate is no character; write valid Unicode") from e
    return text

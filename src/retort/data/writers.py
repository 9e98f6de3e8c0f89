"""Rows of values become bytes of CSV or JSON Lines, such that reading them back gives the same values."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from retort.data.formats import ABSENT

Row = Sequence[object]
_QUOTED = re.compile('[",\r\n]')  # csv.writer leaves a lone \r bare before Python 3.13, which no reader takes for text


class Writer(Protocol):
    """Rows have a value for each of its columns."""

    def header(self) -> bytes:
        """What comes before all rows."""

    def encode(self, rows: Iterable[Row]) -> bytes:
        """What stands for the rows."""


class CsvWriter:
    """Cells as they are, formulas of spreadsheets too; lists and objects as JSON, nothing for null."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def header(self) -> bytes:
        """The columns' names."""
        return self.encode([self._names])

    def encode(self, rows: Iterable[Row]) -> bytes:
        """A line each, unless cells hold more."""
        lines = (",".join(map(_cell, row)) + "\n" for row in rows)
        return "".join(lines).encode("utf-8", "backslashreplace")  # JSON can spell halves of characters; UTF-8 cannot


class JsonlWriter:
    """An object a row, without what is `ABSENT` from it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def encode(self, rows: Iterable[Row]) -> bytes:
        """A line each."""
        return b"".join(
            encode_json({name: v for name, v in zip(self._names, row, strict=True) if v is not ABSENT}) + b"\n"
            for row in rows
        )


def encode_json(value: object) -> bytes:
    """Compact enough for a line; half a character stays the escape that it was."""
    return _to_json(value).encode("utf-8", "backslashreplace")


def free_names(names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, with `_2`, `_3` … behind those that are taken, also by one before them."""
    found: list[str] = []
    used = set(taken)
    for name in names:
        free = next(f for n in range(1, len(used) + 2) if (f := name if n == 1 else f"{name}_{n}") not in used)
        used.add(free)
        found.append(free)
    return found


def _cell(value: object) -> str:
    if value is None or value is ABSENT:
        return ""
    text = value if isinstance(value, str) else _plain(value) if _is_scalar(value) else _to_json(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (bool, int, float, list, tuple, dict))


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    """What Parquet holds and JSON does not: bytes as base64, dates and times in ISO 8601, decimals as they are."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

"""A file of JSON becomes objects, each with the line on which it begins.  Knows no column.

A generator gives the line, the object or one sentence on what is wrong with it, and the text that it was read from.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retort.data.files import open_text, undecoded

Objects = Iterator[tuple[int, dict[str, Any] | str, str]]
_SPACE = " \t\r\n"  # what JSON has between values


def read_lines(path: Path, errors: str = "strict") -> Objects:
    """Of JSON Lines: an object a line."""
    with open_text(path, newline="\n", errors=errors) as stream:
        for line, row in enumerate(stream, 1):
            if row.strip():
                yield line, undecoded(row) or _parse(line, row), row


def read_array(path: Path) -> Objects:
    """Of one JSON array.  Nothing follows behind an item that is no JSON."""
    with open_text(path, newline="\n") as stream:
        text = stream.read()
    line, seen, position = 1, 0, _skip(text, text.find("[") + 1)
    separator = "" if text[position : position + 1] == "]" else ","
    while separator == ",":
        line, seen = line + text.count("\n", seen, position), position
        try:
            content, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as e:
            yield line, f"expected a JSON object ({e})", ""
            return
        yield line, _expect_object(content), text[position:end]
        position = _skip(text, end)
        separator = text[position : position + 1]
        if separator == ",":
            position = _skip(text, position + 1)
    line += text.count("\n", seen, position)
    if text[position : position + 1] != "]":
        yield line, "expected , or ] behind an item of the JSON array", text[position:]
    elif rest := text[position + 1 :].strip(_SPACE):
        yield line, f"expected nothing behind the JSON array, got {rest[:20]!r}", rest


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _parse(line: int, row: str) -> dict[str, Any] | str:
    try:
        content = json.loads(row, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as e:
        hint = "; a JSON array must be written as one object a line" if line == 1 and row.lstrip()[0] == "[" else ""
        return f"expected a JSON object ({e}){hint}"
    return _expect_object(content)


def _expect_object(content: object) -> dict[str, Any] | str:
    return content if isinstance(content, dict) else f"expected a JSON object, got {type(content).__name__}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)

"""A file in columns, one word a line, becomes sentences of words and tags.

Columns are separated by tabs where the first word's are, else by blanks.  A blank line ends a sentence, and so does a
line of `-DOCSTART-`.  Words may begin with `#`, so such a line is a comment only where it has not the columns of the
others, or begins with `# ` and has no tag.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from retort.data.files import open_text
from retort.data.formats import broken
from retort.data.tags import Tag, parse_tag
from retort.errors import BadData

BOUNDARY = "-DOCSTART-"


class Sentence(NamedTuple):
    """As many `tags` as `words`; `line` is that of the first word."""

    line: int
    words: Sequence[str]
    tags: Sequence[Tag]


def read_sentences(path: Path, word_column: str | None = None, tag_column: str | None = None) -> Iterator[Sentence]:
    """Sentences of a CoNLL file; columns are numbers from 1, without them the first and the last.

    Raises BadData, naming the line: other columns than in the first line of words, or no tag; UnicodeDecodeError.
    """
    columns = _Columns.find(path, word_column, tag_column)
    words: list[str] = []
    tags: list[Tag] = []
    begin = 0
    for line, row in _read_rows(path):
        values = columns.split(row)
        if columns.is_comment(values):
            continue
        if not row or values[0].startswith(BOUNDARY):
            if words:
                yield Sentence(begin, words, tags)
            words, tags = [], []
            continue
        if len(values) != columns.n:
            raise broken(path, line, columns.describe_mismatch(values))
        tag = parse_tag(values[columns.tag])
        if tag is None:
            raise broken(
                path,
                line,
                f"expected a tag such as O or B-person in column {columns.tag + 1}, got {values[columns.tag][:40]!r}; "
                "--label-column gives the number of another",
            )
        begin = begin if words else line
        words.append(values[columns.word])
        tags.append(tag)
    if words:
        yield Sentence(begin, words, tags)


class _Columns(NamedTuple):
    """How a file's lines are split: `n` columns, of which `word` and `tag` (from 0) are wanted."""

    by_tabs: bool
    n: int
    word: int
    tag: int

    @classmethod
    def find(cls, path: Path, word_column: str | None, tag_column: str | None) -> "_Columns":
        """From the first line that is surely one of a word.  Raises BadData: it has no such columns."""
        line, row = _find_word(path)
        by_tabs = "\t" in row
        n = len(_split(row, by_tabs))
        if n < 2:
            raise broken(path, line, "expected a word and its tag, separated by a tab or blanks")
        word, tag = (
            default if column is None else _number(path, column, n)
            for column, default in ((word_column, 0), (tag_column, n - 1))
        )
        if word == tag:
            raise BadData(f"{path}: column {word + 1} cannot be both the word and the tag; give each its own.")
        return cls(by_tabs, n, word, tag)

    def split(self, row: str) -> list[str]:
        return _split(row, self.by_tabs)

    def is_comment(self, values: Sequence[str]) -> bool:
        if not values[0].startswith("#"):
            return False
        return len(values) != self.n or (values[0] == "#" and parse_tag(values[self.tag]) is None)

    def describe_mismatch(self, values: Sequence[str]) -> str:
        separator = "tabs" if self.by_tabs else "blanks"
        return f"expected {self.n} columns separated by {separator}, as in the first line of words, got {len(values)}"


def _read_rows(path: Path) -> Iterator[tuple[int, str]]:
    """Lines without what ends them; empty where there is only white space."""
    with open_text(path, newline="\n") as stream:
        for line, row in enumerate(stream, 1):
            yield line, row.rstrip(" \t\r\n") if row.strip() else ""


def _find_word(path: Path) -> tuple[int, str]:
    """The first line that is surely one of a word, or else may be one."""
    doubtful = None
    for line, row in _read_rows(path):
        if row and not row.startswith((BOUNDARY, "#")):
            return line, row
        if row.startswith("#") and doubtful is None:
            doubtful = line, row
    return doubtful or (1, "")


def _split(row: str, by_tabs: bool) -> list[str]:
    """Not at white space of other kinds, which words may hold."""
    return [value.strip(" ") for value in row.split("\t")] if by_tabs else re.split(" +", row.strip(" "))


def _number(path: Path, column: str, n: int) -> int:
    if not column.isdecimal() or not 1 <= int(column[:9]) <= n:
        raise BadData(f"{path}: expected the number of a column from 1 to {n}, got {column[:40]!r}.")
    return int(column) - 1

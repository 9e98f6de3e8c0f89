"""Files of word vectors as fastText and GloVe write them, text or gzipped: a word and its numbers on each line."""

import gzip
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retort.errors import BadUsage
from retort.tasks.base import Floats

MAX_MORE = 50_000  # words that the texts do not have; such files have the most frequent first


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Vectors (size,) of words in lower case."""

    size: int
    rows: dict[str, Floats]


def read_word_vectors(file: Path, words: Container[str], max_more: int = MAX_MORE) -> WordVectors:
    """Those of `words`, which are in lower case, and of the file's first `max_more` others.

    Of words that differ in case alone the one in lower case counts, or where there is none the first.  A header line
    (how many, how long) may be there or not.  Raises BadUsage, naming the line: it is no such file.
    """
    rows: dict[str, Floats] = {}
    exact: set[str] = set()
    size = n_more = 0
    for number, word, values in _lines(file):
        if not size:
            size = len(values.split())
        plain = word.lower()
        if plain in exact or (plain in rows and word != plain):
            continue
        if plain not in words and plain not in rows:
            if n_more == max_more:
                continue
            n_more += 1
        rows[plain] = _parse(values, size, file, number)
        if word == plain:
            exact.add(plain)
    if not rows:
        raise BadUsage(f"{file}: expected a word and its numbers on each line, found none.")
    return WordVectors(size, rows)


def _lines(file: Path) -> Iterator[tuple[int, str, str]]:
    """Number, word and values of each line but the header."""
    size = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.rstrip().split(" ")
                if number == 1 and len(parts) == 2:
                    continue
                size = size or len(parts) - 1
                word, _, values = line.rstrip().partition(" ")
                if len(parts) > size + 1:  # GloVe has words with blanks in them
                    word, values = " ".join(parts[:-size]), " ".join(parts[-size:])
                yield number, word, values
    except (OSError, UnicodeDecodeError, EOFError) as e:
        raise BadUsage(f"Cannot read the word vectors {file}: {e}") from e


def _parse(values: str, size: int, file: Path, number: int) -> Floats:
    try:
        vector = np.array(values.split(), np.float32)
    except ValueError:
        vector = np.zeros(0, np.float32)
    if vector.size != size or not size or not np.isfinite(vector).all():
        raise BadUsage(f"{file}, line {number}: expected a word and {size} numbers, got {values[:40]!r}.")
    return vector

"""A file on disk becomes records: a line number and the values of the wanted columns.  Knows no text, no label.

Each reader calls `choose` once with the columns' names and then yields only the columns that it answered, so that a
Parquet file's other columns are never read.  Line numbers count from 1, the header included; in Parquet, rows from 1.
No reader holds more of the file than one record (of Parquet, one batch).
"""

import csv
import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from retort.data.files import open_bytes, open_text, show_bytes, split_suffix, undecoded, wrong_encoding
from retort.data.objects import read_lines
from retort.data.parquet import open_parquet, values_of
from retort.errors import BadData

Choose = Callable[[Sequence[str]], Sequence[str]]
Records = Iterator[tuple[int, Sequence[object]]]
MAX_FIELD_CHARACTERS = 2**24  # of CSV; where a quote is left open, this much is read before that is noticed


class Absent:
    """What stands for a value where a JSON object lacks the name."""


ABSENT = Absent()


class Record(NamedTuple):
    """One row: `values` of the wanted columns; or its `fault`, one sentence, and how it stands in the file."""

    line: int
    values: Sequence[object]
    fault: str | None = None
    raw: str = ""


Reader = Callable[[Path, Choose, str], Iterator[Record]]


def read_records(path: Path, choose: Choose) -> Records:
    """Records of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file, perhaps with `.gz` behind.

    Another suffix, or none, is read as JSON Lines where the file begins with `{`, as TSV where its first line holds a
    tab, and else refused.  Raises BadData: the file is missing or damaged (with the line), or `choose` did.
    """
    for record in _open_records(path, choose, "strict"):
        if record.fault is not None:
            raise broken(path, record.line, record.fault)
        yield record.line, [None if value is ABSENT else value for value in record.values]


def scan_records(path: Path, choose: Choose) -> Iterator[Record]:
    """The same, but a row that cannot be read is a record with a fault, and reading goes on behind it.

    A CSV row whose quote is left open is one line; a name that a JSON object lacks is `ABSENT`.
    Raises BadData: the file is missing, has no readable header, or is damaged as a whole; or `choose` did.
    """
    yield from _open_records(path, choose, "surrogateescape")


def broken(path: Path, line: int, why: str) -> BadData:
    """The error for one row that cannot be read."""
    return BadData(f"{path}, line {line}: {why}.")


def format_of(path: Path) -> str:
    """`csv`, `tsv`, `jsonl` or `parquet`.  Raises BadData: neither name nor beginning tells."""
    suffix = split_suffix(path)[0]
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with open_bytes(path) as stream:
        start = stream.read(2**16).removeprefix(b"\xef\xbb\xbf")
    if start.lstrip().startswith(b"{"):
        return "jsonl"
    if b"\t" in start.split(b"\n", 1)[0] and b"\0" not in start:
        return "tsv"
    raise BadData(f"{path}: cannot tell its format from the name; expected one of {_known()}.")


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turn what reading `path` may raise into BadData that says what is wrong with it."""
    if not path.exists():
        raise BadData(f"There is no file {path}.")
    if not path.is_file():
        raise BadData(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; expected one of {_known()}.")
    try:
        try:
            yield
        except UnicodeDecodeError as e:
            raise wrong_encoding(path) from e  # it reads the file again, so it may find other damage first
    except gzip.BadGzipFile as e:
        raise BadData(f"{path} is not gzip, though its name says so, or it is damaged: {e}.") from e
    except (EOFError, zlib.error) as e:
        raise BadData(f"{path} is damaged or was cut short: its gzip stream ends with {e}.") from e
    except OSError as e:
        raise BadData(f"Cannot read {path}: {e.strerror or e}.") from e


def _open_records(path: Path, choose: Choose, errors: str) -> Iterator[Record]:
    with naming_damage(path):
        with open_bytes(path) as stream:
            if not stream.read(1):
                raise BadData(f"{path} is empty.")
        yield from _READERS[format_of(path)](path, choose, errors)


class _Lines:
    """The lines of a stream; those of the current record are at hand, so that all but its first can be read again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._again = stream, deque[str]()
        self._record: list[str] = []
        self.number = 1  # of the record's first line

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self._record.append(line)
        return line

    @property
    def raw(self) -> str:
        """The record as it stands in the file, without the end of its last line."""
        return "".join(self._record).rstrip("\r\n")

    def begin_record(self) -> None:
        """Whatever is read from now on is another record."""
        self.number += len(self._record)
        self._record = []

    def keep_first(self) -> None:
        """Give back all lines of the record but the first."""
        self._again.extendleft(reversed(self._record[1:]))
        del self._record[1:]


def _read_csv(path: Path, choose: Choose, errors: str) -> Iterator[Record]:
    wanted, width = None, 0
    with open_text(path, newline="", errors=errors) as stream, _huge_fields():
        lines = _Lines(stream)
        for values in _read_rows(lines):
            raw = lines.raw
            if isinstance(values, csv.Error):
                fault = f"the row that begins here is no CSV ({values}); is a quote left open?"
                if wanted is None:
                    raise broken(path, lines.number, fault)
                yield Record(lines.number, (), fault, show_bytes(raw))
            elif not raw.strip(" \t\r\n"):
                pass  # a blank line
            elif wanted is None:
                wanted, width = _positions(path, values, choose), len(values)
            else:
                yield _record(lines.number, raw, values, wanted, width, "values")
    if wanted is None:
        raise BadData(f"{path} is empty.")


def _read_rows(lines: _Lines) -> Iterator[list[str] | csv.Error]:
    """Rows; where a line begins none, the error, and then what follows that line."""
    rows = csv.reader(lines, strict=True)
    while True:
        lines.begin_record()
        try:
            values = next(rows, None)
        except csv.Error as e:
            lines.keep_first()
            yield e
            continue
        if values is None:
            return
        yield values


def _read_tsv(path: Path, choose: Choose, errors: str) -> Iterator[Record]:
    wanted, width = None, 0
    with open_text(path, newline="\n", errors=errors) as stream:  # only these end a row: a lone \r is text, like quotes
        for line, row in enumerate(stream, 1):
            if not row.strip(" \r\n"):
                continue
            raw = row.rstrip("\n").removesuffix("\r")
            values = raw.split("\t")
            if wanted is None:
                wanted, width = _positions(path, values, choose), len(values)
            else:
                yield _record(line, raw, values, wanted, width, "values separated by tabs")
    if wanted is None:
        raise BadData(f"{path} is empty.")


def _record(line: int, raw: str, values: list[str], wanted: list[int], width: int, what: str) -> Record:
    fault = undecoded(raw)
    if fault is None and len(values) != width:
        fault = f"expected {width} {what}, got {len(values)}"
    return Record(line, [values[i] for i in wanted]) if fault is None else Record(line, (), fault, show_bytes(raw))


def _read_jsonl(path: Path, choose: Choose, errors: str) -> Iterator[Record]:
    names: dict[str, None] = {}  # of all objects, in order: the first may lack some
    first_fault = None
    for line, content, raw in read_lines(path, errors):
        if isinstance(content, dict):
            names |= dict.fromkeys(content)
        elif first_fault is None:
            first_fault = broken(path, line, content) if undecoded(raw) is None else wrong_encoding(path)
    if not names and first_fault is not None:
        raise first_fault
    if not names:
        raise BadData(f"{path} is empty.")
    wanted = _choose(path, list(names), choose)
    for line, content, raw in read_lines(path, errors):
        if isinstance(content, dict):
            yield Record(line, [content.get(name, ABSENT) for name in wanted])
        else:
            yield Record(line, (), content, show_bytes(raw.rstrip("\r\n")))


def _read_parquet(path: Path, choose: Choose, errors: str) -> Iterator[Record]:
    with open_parquet(path) as file:
        wanted = _choose(path, file.names, choose)
        line = 0
        for batch in file.batches(list(dict.fromkeys(wanted))):
            columns = [values_of(batch.column(name)) for name in wanted]
            for values in zip(*columns, strict=True):
                line += 1
                yield Record(line, values)


_READERS: dict[str, Reader] = {"csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl, "parquet": _read_parquet}
_SUFFIXES = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **{".parquet": "parquet", ".pq": "parquet"},
}


def _known() -> str:
    return f"{' '.join(_SUFFIXES)}, each also with .gz"


def _choose(path: Path, names: Sequence[str], choose: Choose) -> Sequence[str]:
    try:
        return choose(names)
    except BadData as e:
        raise BadData(f"{path}: {e}.") from None


def _positions(path: Path, names: Sequence[str], choose: Choose) -> list[int]:
    if any(map(undecoded, names)):
        raise wrong_encoding(path)
    wanted = _choose(path, names, choose)
    return list(range(len(names))) if list(wanted) == list(names) else [names.index(name) for name in wanted]


@contextmanager
def _huge_fields() -> Iterator[None]:
    before = csv.field_size_limit(MAX_FIELD_CHARACTERS)  # the module's default of 128 KiB refuses long documents
    try:
        yield
    finally:
        csv.field_size_limit(before)

"""A file on disk becomes records: a line number and the values of the wanted columns.  Knows no text, no label.

Each reader calls `choose` once with the columns' names and then yields only the columns that it answered, so that a
Parquet file's other columns are never read.  Line numbers count from 1, the header included; in Parquet, rows from 1.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retort.data.files import open_bytes, open_text, split_suffix, wrong_encoding
from retort.errors import BadData

Choose = Callable[[Sequence[str]], Sequence[str]]
Records = Iterator[tuple[int, Sequence[object]]]


def read_records(path: Path, choose: Choose) -> Records:
    """Records of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file, perhaps with `.gz` behind.

    Another suffix, or none, is read as JSON Lines where the file begins with `{`, as TSV where its first line holds a
    tab, and else refused.  Raises BadData: the file is missing or damaged (with the line), or `choose` did.
    """
    if not path.exists():
        raise BadData(f"There is no file {path}.")
    if not path.is_file():
        raise BadData(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; expected one of {_known()}.")
    try:
        with open_bytes(path) as stream:
            if not stream.read(1):
                raise BadData(f"{path} is empty.")
        try:
            yield from _reader(path)(path, choose)
        except UnicodeDecodeError as e:
            raise wrong_encoding(path) from e  # it reads the file again, so it may find other damage first
    except gzip.BadGzipFile as e:
        raise BadData(f"{path} is not gzip, though its name says so, or it is damaged: {e}.") from e
    except (EOFError, zlib.error) as e:
        raise BadData(f"{path} is damaged or was cut short: its gzip stream ends with {e}.") from e
    except OSError as e:
        raise BadData(f"Cannot read {path}: {e.strerror or e}.") from e


def broken(path: Path, line: int, why: str) -> BadData:
    """The error for one row that cannot be read."""
    return BadData(f"{path}, line {line}: {why}.")


def _read_csv(path: Path, choose: Choose) -> Records:
    with open_text(path, newline="") as stream, _huge_fields():
        reader = csv.reader(stream, strict=True)
        line, wanted, width = 1, None, 0
        try:
            for values in reader:
                if not values or (len(values) == 1 and not values[0].strip()):
                    pass  # a blank line
                elif wanted is None:
                    wanted, width = _positions(path, values, choose), len(values)
                elif len(values) != width:
                    raise broken(path, line, f"expected {width} values, got {len(values)}")
                else:
                    yield line, [values[i] for i in wanted]
                line = reader.line_num + 1
        except csv.Error as e:
            raise broken(path, line, f"the row that begins here is no CSV ({e}); is a quote left open?") from e
        if wanted is None:
            raise BadData(f"{path} is empty.")


def _read_tsv(path: Path, choose: Choose) -> Records:
    wanted, width = None, 0
    with open_text(path, newline="\n") as stream:  # only these end a row: a lone \r is text, like quotes
        for line, row in enumerate(stream, 1):
            if not row.strip(" \r\n"):
                continue
            values = row.rstrip("\n").removesuffix("\r").split("\t")
            if wanted is None:
                wanted, width = _positions(path, values, choose), len(values)
            elif len(values) != width:
                raise broken(path, line, f"expected {width} values separated by tabs, got {len(values)}")
            else:
                yield line, [values[i] for i in wanted]
    if wanted is None:
        raise BadData(f"{path} is empty.")


def _read_jsonl(path: Path, choose: Choose) -> Records:
    found: list[tuple[int, dict[str, Any]]] = []
    names: dict[str, None] = {}  # of all objects, in order: the first may lack some
    with open_text(path, newline="\n") as stream:
        for line, row in enumerate(stream, 1):
            if row.strip():
                found.append((line, _parse_object(path, line, row)))
                names |= dict.fromkeys(found[-1][1])
    if not found:
        raise BadData(f"{path} is empty.")
    wanted = _choose(path, list(names), choose)
    for line, values in found:
        yield line, [values.get(name) for name in wanted]


def _parse_object(path: Path, line: int, row: str) -> dict[str, Any]:
    try:
        content = json.loads(row, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as e:
        hint = "; a JSON array must be written as one object a line" if line == 1 and row.lstrip()[0] == "[" else ""
        raise broken(path, line, f"expected a JSON object ({e}){hint}") from e
    if not isinstance(content, dict):
        raise broken(path, line, f"expected a JSON object, got {type(content).__name__}")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _read_parquet(path: Path, choose: Choose) -> Records:
    import pyarrow
    from pyarrow import parquet

    try:
        with open_bytes(path) as stream:
            file = parquet.ParquetFile(pyarrow.BufferReader(stream.read()) if split_suffix(path)[1] else path)
            wanted = _choose(path, file.schema_arrow.names, choose)
            line = 0
            for batch in file.iter_batches(columns=list(dict.fromkeys(wanted))):
                columns = [batch.column(name).to_pylist() for name in wanted]
                for values in zip(*columns, strict=True):
                    line += 1
                    yield line, values
    except (pyarrow.ArrowException, UnicodeDecodeError) as e:
        raise BadData(f"{path} is not a (whole) Parquet file: {e}.") from e


_READERS = {
    **{".csv": _read_csv, ".tsv": _read_tsv, ".tab": _read_tsv},
    **{".jsonl": _read_jsonl, ".ndjson": _read_jsonl, ".parquet": _read_parquet, ".pq": _read_parquet},
}


def _reader(path: Path) -> Callable[[Path, Choose], Records]:
    suffix = split_suffix(path)[0]
    if suffix in _READERS:
        return _READERS[suffix]
    with open_bytes(path) as stream:
        start = stream.read(2**16).removeprefix(b"\xef\xbb\xbf")
    if start.lstrip().startswith(b"{"):
        return _read_jsonl
    if b"\t" in start.split(b"\n", 1)[0] and b"\0" not in start:
        return _read_tsv
    raise BadData(f"{path}: cannot tell its format from the name; expected one of {_known()}.")


def _known() -> str:
    return f"{' '.join(_READERS)}, each also with .gz"


def _choose(path: Path, names: Sequence[str], choose: Choose) -> Sequence[str]:
    try:
        return choose(names)
    except BadData as e:
        raise BadData(f"{path}: {e}.") from None


def _positions(path: Path, names: Sequence[str], choose: Choose) -> list[int]:
    return [names.index(name) for name in _choose(path, names, choose)]


@contextmanager
def _huge_fields() -> Iterator[None]:
    before = csv.field_size_limit(2**31 - 1)  # the module's default of 128 KiB would refuse long documents
    try:
        yield
    finally:
        csv.field_size_limit(before)

"""A Parquet file of any size becomes batches of columns.  pyarrow is imported only where there is such a file."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retort.data.files import open_bytes, split_suffix
from retort.errors import BadData

BATCH_ROWS = 1000
BUFFER_BYTES = 2**20  # without a buffer, pyarrow loads a column of a whole row group


class ParquetInput:
    """An open file: `schema` is pyarrow's, `names` its columns."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.schema: Any = file.schema_arrow
        self.names: list[str] = list(file.schema_arrow.names)
        self.n_rows: int = file.metadata.num_rows

    def batches(self, names: Sequence[str] | None = None) -> Iterator[Any]:
        """Record batches of the named columns, or of all."""
        yield from self._file.iter_batches(BATCH_ROWS, columns=None if names is None else list(names))


@contextmanager
def open_parquet(path: Path) -> Iterator[ParquetInput]:
    """Open it, unpacked into a temporary file where its name ends in `.gz`.

    Raises BadData, also within: it is no Parquet, or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    with tempfile.TemporaryFile() as unpacked:
        source: Any = path
        if split_suffix(path)[1]:
            with open_bytes(path) as stream:
                shutil.copyfileobj(stream, unpacked)
            unpacked.seek(0)
            source = unpacked
        try:
            with parquet.ParquetFile(source, buffer_size=BUFFER_BYTES) as file:
                yield ParquetInput(file)
        except (pyarrow.ArrowException, UnicodeDecodeError) as e:
            raise BadData(f"{path} is not a (whole) Parquet file: {e}.") from e


def class_names(schema: Any) -> dict[str, list[str]]:
    """Column -> names of the numbers in its lists, where Hugging Face's `datasets` wrote them into the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        inner = {column: kind.get("feature", kind) for column, kind in features.items()}
        return {column: [*map(str, kind["names"])] for column, kind in inner.items() if "names" in kind}
    except (KeyError, TypeError, ValueError, AttributeError):  # other tools may write whatever they like there
        return {}


def values_of(column: Any) -> list[object]:
    """A column as Python's values; times of nanoseconds, which Python does not have, as text (durations as numbers)."""
    import pyarrow

    if getattr(column.type, "unit", "") == "ns":
        column = column.cast(pyarrow.int64() if pyarrow.types.is_duration(column.type) else pyarrow.string())
    return list(column.to_pylist())

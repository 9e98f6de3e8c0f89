"""A file of rows, and what was found out about each, become one Parquet file.  Columns of Parquet keep their types."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from retort.data.formats import ABSENT, Record, format_of, scan_records
from retort.data.parquet import BATCH_ROWS, open_parquet
from retort.data.writers import encode_json

GROUP_BYTES, GROUP_ROWS = 2**24, 2**16  # how much makes a row group, and so has to be in memory
Kind = Literal["string", "number", "strings", "numbers", "ranking", "entities"]  # ranking: labels and probabilities


@dataclass(frozen=True, slots=True)
class Added:
    """A column that the input does not have."""

    name: str
    kind: Kind


def write_parquet(
    target: Path, source: Path, names: Sequence[str], text_column: str, added: Sequence[Added],
    results: Iterator[Sequence[object]],
) -> None:  # fmt: skip
    """Write the rows of `source` with `results`, a sequence of the added columns' values for each.

    `names` are what its columns are called from now on.  A row that cannot be read stands in `text_column`, as it is.
    Raises BadData; OSError.
    """
    import pyarrow
    from pyarrow import parquet

    inputs = _read_parquet(source) if format_of(source) == "parquet" else _read_text(source, names, text_column)
    inputs_schema = next(inputs)
    fields = [field.with_name(name) for field, name in zip(inputs_schema, names, strict=True)]
    fields += [pyarrow.field(column.name, _type(column.kind)) for column in added]
    schema = pyarrow.schema(fields, inputs_schema.metadata)
    with target.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(_join(inputs, results, schema)):
            writer.write_table(pyarrow.Table.from_batches(group, schema).unify_dictionaries())


def _join(inputs: Iterator[Any], results: Iterator[Sequence[object]], schema: Any) -> Iterator[Any]:
    import pyarrow

    for batch in inputs:
        columns = list(zip(*islice(results, batch.num_rows), strict=True))
        types = schema.types[batch.num_columns :]
        found = [pyarrow.array(values, type) for values, type in zip(columns, types, strict=True)]
        yield pyarrow.RecordBatch.from_arrays([*batch.columns, *found], schema=schema)


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(b.nbytes for b in group) >= GROUP_BYTES or sum(b.num_rows for b in group) >= GROUP_ROWS:
            yield group
            group = []
    yield group


def _type(kind: Kind) -> Any:
    import pyarrow

    ranked = pyarrow.struct([("label", pyarrow.string()), ("probability", pyarrow.float64())])
    place = [("text", pyarrow.string()), ("start", pyarrow.int64()), ("end", pyarrow.int64())]
    entity = pyarrow.struct([("label", pyarrow.string()), *place, ("probability", pyarrow.float64())])
    return {
        "string": pyarrow.string(),
        "number": pyarrow.float64(),
        "strings": pyarrow.list_(pyarrow.string()),
        "numbers": pyarrow.list_(pyarrow.float64()),
        "ranking": pyarrow.list_(ranked),
        "entities": pyarrow.list_(entity),
    }[kind]


def _read_parquet(source: Path) -> Iterator[Any]:
    """The schema, then batches."""
    with open_parquet(source) as file:
        yield file.schema
        for batch in file.batches():
            if batch.num_rows:
                yield batch


def _read_text(source: Path, names: Sequence[str], text_column: str) -> Iterator[Any]:
    """The same of a file that has no types: JSON's where one holds for a whole column, else strings."""
    import pyarrow

    types = {name: pyarrow.string() for name in names}
    if format_of(source) == "jsonl":
        types = _find_types(source, names)
    schema = pyarrow.schema([pyarrow.field(name, type) for name, type in types.items()])
    yield schema
    text = list(names).index(text_column)
    records = scan_records(source, lambda found: found)
    while chunk := list(islice(records, BATCH_ROWS)):
        columns = zip(*(_values(record, len(names), text) for record in chunk), strict=True)
        arrays = [
            pyarrow.array([_fit(v, type == pyarrow.string()) for v in values], type)
            for values, type in zip(columns, types.values(), strict=True)
        ]
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def _find_types(source: Path, names: Sequence[str]) -> dict[str, Any]:
    import pyarrow

    kinds: list[set[type]] = [set() for _ in names]
    for record in scan_records(source, lambda found: found):
        for kind, value in zip(kinds, record.values, strict=False):
            if value is not None and value is not ABSENT:
                kind.add(type(value) if type(value) is not int or -(2**63) <= value < 2**63 else list)
    known = {frozenset({bool}): pyarrow.bool_(), frozenset({int}): pyarrow.int64()}
    known |= dict.fromkeys((frozenset({float}), frozenset({int, float})), pyarrow.float64())
    return {name: known.get(frozenset(kind), pyarrow.string()) for name, kind in zip(names, kinds, strict=True)}


def _values(record: Record, n_columns: int, text: int) -> Sequence[object]:
    return record.values if record.fault is None else [record.raw if i == text else None for i in range(n_columns)]


def _fit(value: object, is_string: bool) -> object:
    if value is None or value is ABSENT:
        return None
    if not is_string:
        return value
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else encode_json(value).decode()

"""Up to three files become the splits to train on, with everything the training report says of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from retort.data.readers import Table, read_table
from retort.data.splits import Splits, split
from retort.data.tagged import read_tagged
from retort.errors import BadData

Read = Callable[[Path, str | None, str | None, str | None], Table]
READERS: dict[str, Read] = {"labels": read_table, "spans": read_tagged}  # by what is marked in a row


@dataclass(frozen=True, slots=True)
class Dataset:
    """`multi_label`: some file's rows may have any number of labels.  `columns`: role -> column of the files."""

    splits: Splits
    multi_label: bool
    columns: dict[str, str]


def load_dataset(
    data: Path,
    validation: Path | None = None,
    test: Path | None = None,
    *,
    read: Read = read_table,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Read the files, by one of `READERS`, and split them; validation and test files must have the columns of `data`.

    Raises BadData: see `read_table`, `read_tagged` and `split`.
    """
    table = read(data, text_column, text_pair_column, label_column)
    others = {
        name: _read_like(read, table, path) for name, path in (("validation", validation), ("test", test)) if path
    }
    rows = {name: other.rows for name, other in others.items()}
    splits = split(table.rows, validation_share, test_share, seed, **rows)
    tables = {"train": table, **others}
    dropped = {name: part.dropped for name, part in tables.items() if part.dropped}
    repaired = {name: part.repaired for name, part in tables.items() if part.repaired}
    splits = replace(splits, report=replace(splits.report, dropped=dropped, repaired=repaired))
    return Dataset(splits, any(part.multi_label for part in tables.values()), table.columns)


def _read_like(read: Read, table: Table, path: Path) -> Table:
    if path.resolve() == table.path.resolve():
        raise BadData(f"{path} is the training file itself; expected other rows, or leave it out to set a part aside.")
    columns = table.columns.get
    return read(path, columns("text"), columns("text_pair"), columns("label"))

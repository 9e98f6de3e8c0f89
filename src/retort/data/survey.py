"""A file of any size is read once through before work on it begins: is it whole, which is it, how long is it?"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from retort.data.files import open_bytes
from retort.data.formats import format_of, naming_damage
from retort.data.parquet import open_parquet

BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Survey:
    """`sha256` (hex) is of what is in the file, packed with gzip or not; `n_lines` are rows where it is Parquet."""

    format: str
    sha256: str
    n_lines: int


def survey(path: Path) -> Survey:
    """Read all of it.  Raises BadData: it is missing, damaged, or of no known format."""
    digest, n_lines, block = hashlib.sha256(), 0, b"\n"
    with naming_damage(path):
        found = format_of(path)
        with open_bytes(path) as stream:
            while more := stream.read(BLOCK_BYTES):
                block = more
                digest.update(block)
                n_lines += block.count(b"\n")
        n_lines += not block.endswith(b"\n")
        if found == "parquet" and n_lines:
            with open_parquet(path) as file:
                n_lines = file.n_rows
    return Survey(found, digest.hexdigest(), n_lines)

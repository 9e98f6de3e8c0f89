"""Bytes and text of a file, gzip or not, and what to say where text is no UTF-8."""

import gzip
import io
import re
from pathlib import Path
from typing import BinaryIO, cast

from retort.errors import BadData

GZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
_ESCAPED = re.compile("[\udc80-\udcff]")


def split_suffix(path: Path) -> tuple[str, bool]:
    """The suffix that names the format, in lower case, and whether `.gz` stands behind it."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix, name.endswith(".gz")


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where its name ends in `.gz`."""
    return cast(BinaryIO, gzip.open(path, "rb")) if split_suffix(path)[1] else path.open("rb")


def open_text(path: Path, newline: str, errors: str = "strict") -> io.TextIOWrapper:
    """The file's text in UTF-8, without its byte order mark.

    Raises UnicodeDecodeError while it is read; with the `errors` of "surrogateescape", `undecoded` finds what is none.
    """
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors=errors, newline=newline)


def undecoded(text: str) -> str | None:
    """Name the first byte of an escaped text that is no UTF-8."""
    found = _ESCAPED.search(text)
    return found and f"byte 0x{ord(found[0]) - 0xDC00:02x} is no UTF-8"


def show_bytes(text: str) -> str:
    r"""The same text with `\xe8` and the like for bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def wrong_encoding(path: Path) -> BadData:
    """Say where the first bytes lie that are no UTF-8: the decoder itself knows only its current block."""
    offset = 0
    with open_bytes(path) as stream:
        start = stream.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return BadData(f"{path} is UTF-16; save it as UTF-8.")
        if start[:2] == GZIP_MAGIC or start == PARQUET_MAGIC:
            kind = "gzip" if start[:2] == GZIP_MAGIC else "Parquet"
            return BadData(f"{path} holds {kind}, not text; name it {'.gz' if kind == 'gzip' else '.parquet'}.")
        stream.seek(0)
        for line, row in enumerate(stream, 1):
            try:
                row.decode("utf-8")
            except UnicodeDecodeError as e:
                byte, where = row[e.start], offset + e.start
                return BadData(
                    f"{path}, line {line}: byte 0x{byte:02x} at offset {where} is no UTF-8; save it as UTF-8."
                )
            offset += len(row)
    return BadData(f"{path} is not UTF-8; save it as UTF-8.")

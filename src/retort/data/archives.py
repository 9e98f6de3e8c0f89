"""An archive from the network becomes a folder: only plain files, only inside it, whole or not at all."""

import gzip
import lzma
import os
import shutil
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import IO

from retort.errors import BadCheckpoint, DownloadFailed

MAX_BYTES = 16 * 2**30  # the largest archive of the catalogue holds 1.4 GB
MAX_FILES = 1000
MAX_RATIO = 100  # weights hardly compress: what grows a hundredfold is no checkpoint
SMALL_BYTES = 64 * 2**20  # below this the ratio does not matter
CHUNK_BYTES = 2**20

# What the libraries raise for bytes that are no archive, found by feeding them such.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, RuntimeError, FileExistsError, IsADirectoryError, NotADirectoryError),
)
Member = tuple[str, IO[bytes] | None]  # name in the archive; None for a folder


def unpack(archive: Path, to: Path) -> Path:
    """Unpack a zip or tar archive (perhaps compressed) into the new folder `to`; where that exists, do nothing.

    The folder appears in one step.  Links, devices, encrypted members, paths that lead outside, and more than
    `MAX_BYTES` bytes or `MAX_RATIO` times the archive's own are refused.  Raises BadCheckpoint: it holds such or is
    damaged; DownloadFailed: the folder cannot be written.
    """
    if to.is_dir():
        return to
    draft = to.with_name(f".{to.name}-{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        _write_all(_members(archive), draft, min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * archive.stat().st_size)))
        _rename(draft, to)
    except _DAMAGE as e:
        raise BadCheckpoint(f"Cannot unpack {archive}: {e}.") from e
    except OSError as e:
        raise DownloadFailed(f"Cannot unpack {archive} to {to}: {e.strerror or e}. Make room, or mend this.") from e
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return to


def _rename(draft: Path, to: Path) -> None:
    try:
        draft.rename(to)
    except OSError:
        if not to.is_dir():  # else another process was first
            raise


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        return _zip_members(archive)
    return _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            if mode and not (S_ISREG(mode) or S_ISDIR(mode)) and mode & 0o170000:
                raise ValueError(f"{info.filename!r} is a link or a device")
            if info.flag_bits & 1:
                raise ValueError(f"{info.filename!r} is encrypted")
            if info.orig_filename.endswith("/"):
                yield info.orig_filename, None
            else:
                with file.open(info) as content:
                    yield info.orig_filename, content


def _tar_members(archive: Path) -> Iterator[Member]:
    try:
        file = tarfile.open(archive)  # noqa: SIM115 (closed below)
    except tarfile.ReadError as e:
        raise ValueError("it is no zip or tar archive, or was cut short") from e
    with file:
        for info in file:
            if not (info.isreg() or info.isdir()):
                raise ValueError(f"{info.name!r} is a link or a device")
            yield info.name, file.extractfile(info)
        if file.fileobj:
            file.fileobj.read(CHUNK_BYTES)  # to the end of the padding, where gzip keeps its checksum


def _write_all(members: Iterator[Member], folder: Path, max_bytes: int) -> None:
    left = max_bytes
    for count, (name, content) in enumerate(members, 1):
        if count > MAX_FILES:
            raise ValueError(f"it holds more than {MAX_FILES} files, which no checkpoint does")
        target = folder / _inside(name)
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := content.read(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"it holds more than {max_bytes:,} bytes, far more than its size promises")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if max(map(len, map(os.fsencode, path.parts)), default=0) > 255:
        raise ValueError(f"{name[:40]!r}… is too long a name")
    if path.is_absolute() or ".." in path.parts or any(c in name for c in "\\:\0"):
        raise ValueError(f"{name!r} leads outside the folder")
    return path

"""A URL becomes a whole file on disk: resumed where it broke off, checked, and put in place in one step.

While it is fetched, the file is called `.part`; beside it, `.part.version` holds the server's name for what it is of.
Any number of processes may ask for the same file at once: one fetches it, the others wait.
"""

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from retort.data.lock import exclusive
from retort.errors import DownloadFailed

CHUNK_BYTES = 2**18
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class Progress(Protocol):
    """Is told how far a download is; the total is None where the server does not say."""

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None: ...


class _Interrupted(Exception):
    """This attempt gave no whole file; the next one may."""


def download(
    url: str,
    to: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    *,
    attempts: int = 4,
    timeout_s: float = 30.0,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Fetch `url` into the file `to`, unless that is there already (and has the checksum).  Gives `to`.

    What broke off goes on where it stopped, in this call and in the next one.  It ends when `attempts` in a row, 1, 2,
    4, ... seconds apart, brought the file no further.  `timeout_s` bounds the server's silence, not the whole.  Raises
    DownloadFailed: the network, the server, the checksum or the disk; it says what to do.
    """
    if not re.match(r"https?://[^/\s]", url) or not url.isascii():
        raise DownloadFailed(f"Cannot download {url!r}: expected an address such as https://example.org/file.zip.")
    try:
        if not _is_whole(to, sha256):
            to.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(_beside(to, ".lock")):
                if not _is_whole(to, sha256):  # else another process fetched it meanwhile
                    _fetch_patiently(url, to, sha256, progress, attempts, timeout_s, sleep)
    except OSError as e:  # of the disk: those of the network do not come up to here
        raise DownloadFailed(f"Cannot write {to}: {e.strerror or e}. Make room, or choose another folder.") from e
    return to


def _fetch_patiently(
    url: str,
    to: Path,
    sha256: str | None,
    progress: Progress | None,
    attempts: int,
    timeout_s: float,
    sleep: Callable[[float], object],
) -> None:
    part, failures = _beside(to, ".part"), 0
    furthest = _size(part)
    while True:
        started_at = _size(part)
        try:
            _fetch(url, part, progress, timeout_s)
            _check(url, part, sha256, resumed=started_at > 0)
            break
        except _Interrupted as e:
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= attempts:
                raise DownloadFailed(
                    f"Could not download {url}: {e}. Check the network (and HTTPS_PROXY where a proxy is needed) and "
                    f"run the same command again: it goes on after the {_size(part):,} bytes that are here. "
                    f"Or fetch the file elsewhere and put it at {to}."
                ) from e
            sleep(2.0 ** max(0, failures - 1))
    part.replace(to)
    _version_file(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path, progress: Progress | None, timeout_s: float) -> None:
    """One attempt to make `part` whole.  Raises _Interrupted, or DownloadFailed where another attempt is no use."""
    start = _size(part)
    with _open(url, part, start, timeout_s) as response:
        if response is None:
            return
        offset, total = _extent(response)
        if offset not in (0, start):
            part.unlink(missing_ok=True)
            raise _Interrupted(f"the server went on at byte {offset} when asked for {start}")
        if "html" in response.headers.get("Content-Type", "") and not url.endswith((".html", "/")):
            raise DownloadFailed(f"{url} gave a web page, not the file. Is a login page or proxy in between?")
        done = offset
        with part.open("ab" if offset else "wb") as file:
            if not offset:
                _version_file(part).write_text(_version(response), encoding="latin-1")
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done != total:
        if done > total:
            part.unlink()
        raise _Interrupted(f"it ended after {done:,} of {total:,} bytes")


@contextlib.contextmanager
def _open(url: str, part: Path, start: int, timeout_s: float) -> Iterator[http.client.HTTPResponse | None]:
    """The server's answer; None where it says that the part is whole already."""
    headers = {"User-Agent": "retort", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version := _stored_version(part):
            headers["If-Range"] = version
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as e:
        e.close()
        if e.code == 416 and e.headers.get("Content-Range", "").strip() == f"bytes */{start}":
            yield None
            return
        if e.code == 416:
            part.unlink(missing_ok=True)  # longer than the file: of something else
        if e.code == 416 or e.code in TRANSIENT:
            raise _Interrupted(f"the server answered {e.code} {e.reason}") from e
        raise DownloadFailed(
            f"The server has no {url} for us: it answered {e.code} {e.reason}. "
            "Check the address; the file may have moved or need a login."
        ) from e
    except (OSError, http.client.HTTPException) as e:
        raise _Interrupted(_reason(e)) from e
    with response:
        yield response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as e:
        raise _Interrupted(_reason(e)) from e


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where in the file the answer begins, and how long the whole file is."""
    length = response.headers.get("Content-Length", "")[:18]
    found = re.match(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not found:
        return (0 if response.status != 206 else -1), int(length) if length.isdecimal() else None
    offset = int(found[1])
    if found[2] != "*":
        return offset, int(found[2])
    return offset, offset + int(length) if length.isdecimal() else None


def _check(url: str, part: Path, sha256: str | None, resumed: bool) -> None:
    if sha256 is None or hash_file(part) == sha256:
        return
    found = hash_file(part)
    part.unlink()
    if resumed:
        raise _Interrupted("the parts do not fit together")
    raise DownloadFailed(
        f"{url} is not the file that was expected: its SHA-256 is {found}, not {sha256}. It was not kept. "
        "Try again later; if it stays so, the file was replaced and must not be trusted."
    )


def _is_whole(file: Path, sha256: str | None) -> bool:
    return file.is_file() and (sha256 is None or hash_file(file) == sha256)


def hash_file(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def _version_file(part: Path) -> Path:
    return _beside(part, ".version")


def _version(response: http.client.HTTPResponse) -> str:
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _stored_version(part: Path) -> str:
    file = _version_file(part)
    return file.read_text(encoding="latin-1").strip() if file.exists() else ""


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)

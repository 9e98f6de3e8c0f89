"""Who may ask: API keys, of settings and of files that are read again when they change.

Keys are kept and compared as SHA-256; the first eight hex digits of that are a key's public id.
"""

import hmac
import logging
import threading
import time
from hashlib import sha256
from pathlib import Path

from retort.config import ServeSettings, check_keys, split_list
from retort.errors import BadUsage

FRESH_S = 0.1  # a file that changed so lately may change once more under the same time stamp

log = logging.getLogger(__name__)


class Keys:
    """Known keys.  Threads may share it."""

    def __init__(self, given: str, file: Path | None = None) -> None:
        """Raises BadUsage: the file cannot be read, or holds what is no key."""
        self._given = [sha256(key.encode()).digest() for key in split_list(given)]
        self._file, self._turn, self._is_broken = file, threading.Lock(), False
        self._seen: tuple[int, ...] | None = None
        self._read: list[bytes] = []
        if file is not None:
            self._seen = _stamp(file)
            self._read = read_keys(file)

    def __bool__(self) -> bool:
        return bool(self._given or self._read)

    def find(self, key: str) -> str | None:
        """The id of a known key.  How long it takes says nothing about the keys."""
        self._refresh()
        asked, found = sha256(key.encode(errors="replace")).digest(), None
        for known in (*self._given, *self._read):
            if hmac.compare_digest(known, asked):
                found = known.hex()[:8]
        return found

    def _refresh(self) -> None:
        """Read the file again if it changed; while it is missing or broken, the keys it held last stay."""
        if self._file is None or (stamp := _stamp(self._file)) == self._seen:
            return
        with self._turn:
            try:
                self._read = read_keys(self._file)
            except BadUsage as e:
                if not self._is_broken:
                    log.warning("%s Until then, the keys that it held before stay.", e)
                self._is_broken = True
            else:
                self._is_broken = False
            is_fresh = stamp is not None and abs(time.time_ns() - stamp[0]) < FRESH_S * 1e9
            self._seen = None if is_fresh else stamp


def load_keys(settings: ServeSettings) -> tuple[Keys, Keys]:
    """Those that may predict, and the admins'.  Raises BadUsage: a file of keys cannot be read."""
    api, admin = settings.api_keys, settings.admin_keys
    return (
        Keys(api.get_secret_value() if api else "", settings.api_keys_file),
        Keys(admin.get_secret_value() if admin else "", settings.admin_keys_file),
    )


def read_keys(file: Path) -> list[bytes]:
    """The SHA-256 of each key of a file: one a line; what follows `#` is a comment.

    Raises BadUsage, which names the file and never a key.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        words = [line.split() for line in lines]
        keys = check_keys(word[0] for word in words if word and not word[0].startswith("#"))
        if any(len(word) > 1 and not word[0].startswith("#") and not word[1].startswith("#") for word in words):
            raise ValueError("expected one key a line; a line holds more")
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else "it is no UTF-8" if isinstance(e, UnicodeError) else str(e)
        raise BadUsage(f"Cannot take keys from {file}: {why}. Mend the file.") from e
    return [sha256(key.encode()).digest() for key in keys]


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Differs when the file does; None when it is missing."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino

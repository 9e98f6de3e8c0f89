"""A file that one process at a time can hold."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold `lock`, a file made for this and removed afterwards; wait while another process (or thread) holds it.

    The system lets go of it however its holder dies.
    """
    with _acquire(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _acquire(lock: Path) -> IO[bytes]:
    while True:
        file = lock.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(lock.stat(), os.fstat(file.fileno())):
                return file
        file.close()  # its holder removed it while we waited, so it locks nothing any more

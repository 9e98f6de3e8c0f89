"""An output that grows until it is whole: `<output>.part`, and `<output>.part.json`, which says how much of it counts.

A process that dies at any moment leaves an output of which the counted bytes are right; whatever is behind them is cut
off.  The whole is renamed to `<output>`.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self

from retort.disk import read_json, sync, write_json
from retort.errors import BadArtifact, BadUsage, CannotWriteOutput

Command = dict[str, object]  # what must be the same for an output to be continued, in words -> values JSON can hold
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some network mounts


@dataclass(frozen=True, slots=True)
class Done:
    """How far an output is."""

    n_rows: int = 0
    n_failed: int = 0
    n_tokens: int = 0
    n_bytes: int = 0

    def plus(self, n_bytes: int, n_rows: int, n_failed: int, n_tokens: int) -> Self:
        """So much further."""
        return replace(
            self,
            n_rows=self.n_rows + n_rows,
            n_failed=self.n_failed + n_failed,
            n_tokens=self.n_tokens + n_tokens,
            n_bytes=self.n_bytes + n_bytes,
        )


class Unfinished:
    """The file of one command, held against others.  Use it as a context."""

    def __init__(self, output: Path, command: Command, resume: bool, say: Callable[[str], None]) -> None:
        """With `resume`, go on where the same command was; else, and after another one, begin anew.

        Raises BadUsage: another process writes the same output; CannotWriteOutput.
        """
        self.output, self._command = output, command
        self.path = output.with_name(f"{output.name}.part")
        self._state = output.with_name(f"{output.name}.part.json")
        with writing(self.path):
            self._file = _hold(self.path)
            self.done = (self._find_done(say) if resume else None) or Done()
            if not self.done.n_bytes:
                self._state.unlink(missing_ok=True)
            self._file.truncate(self.done.n_bytes)
            self._file.seek(self.done.n_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be written is not counted
            self._file.close()

    def append(self, content: bytes, n_rows: int = 0, n_failed: int = 0, n_tokens: int = 0) -> None:
        """Once this returns, a process that dies takes nothing of it along.  Raises CannotWriteOutput."""
        done = self.done.plus(len(content), n_rows, n_failed, n_tokens)
        with writing(self.path):
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        with writing(self._state):
            draft = self._state.with_name(f"{self._state.name}~")
            write_json(draft, {"command": self._command, "done": asdict(done)})
            sync(draft)
            draft.replace(self._state)
        self.done = done

    def publish(self, whole: Path | None = None) -> None:
        """Make it the output, or another file that was made of it.  Raises CannotWriteOutput."""
        with writing(self.output):
            sync(whole or self.path)
            (whole or self.path).replace(self.output)
            sync(self.output.parent)
            self.path.unlink(missing_ok=True)
            self._state.unlink(missing_ok=True)

    def _find_done(self, say: Callable[[str], None]) -> Done | None:
        if not self._state.exists():
            return None
        try:
            state = read_json(self._state)
            command, done = dict(state["command"]), Done(**state["done"])
            is_whole = 0 < done.n_bytes <= self.path.stat().st_size
        except (BadArtifact, KeyError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            say(f"{self.path} cannot be continued: it is damaged. Beginning anew.")
            return None
        others = [name for name in {**command, **self._command} if command.get(name) != self._command.get(name)]
        if others:
            say(f"{self.path} is of another command ({', '.join(others)} differs). Beginning anew.")
            return None
        return done


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into CannotWriteOutput."""
    try:
        yield
    except OSError as e:
        raise CannotWriteOutput(e.errno, e.strerror or str(e), str(path)) from e


def _hold(path: Path) -> BinaryIO:
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno not in _WITHOUT_LOCKS:
                file.close()
                if e.errno in (errno.EAGAIN, errno.EACCES):
                    raise BadUsage(
                        f"Another process is writing {path}; wait for it, or choose another --output."
                    ) from e
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        file.close()  # its holder published it meanwhile

"""How far a file is scored, for people: a bar on a terminal where rich is installed, else plain lines; on stderr."""

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from retort.durations import format_seconds

LINE_EVERY_S = 10.0


class ScoringProgress:
    """Is told how far it is; shows speed and time left.  Use it as a context."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream or sys.stderr, clock
        self._bar: Any = _open_bar(self._stream)
        self._start: tuple[float, int, float] | None = None  # when this run began: time, rows and share
        self._last_line = 0.0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, n_rows: int, share: float, n_failed: int) -> None:
        """`n_rows` are done, `n_failed` of them without a prediction; they are `share` (0 to 1) of the file.

        The first call says where this run begins.
        """
        now = self._clock()
        if self._start is None:
            self._start, self._last_line = (now, n_rows, share), now
        state = self._describe(now, n_rows, share, n_failed)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=share, state=state)
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._stream.write(f"{100 * share:.0f} % · {state}\n")
            self._stream.flush()

    def _describe(self, now: float, n_rows: int, share: float, n_failed: int) -> str:
        start, first_row, first_share = self._start or (now, n_rows, share)
        parts = [f"{n_rows:,} rows"]
        if now > start and n_rows > first_row:
            parts.append(f"{(n_rows - first_row) / (now - start):.0f} texts/s")
        if now > start and share > first_share:
            parts.append(f"{format_seconds((now - start) / (share - first_share) * (1 - share))} left")
        return " · ".join([*parts, f"{n_failed:,} without prediction"] if n_failed else parts)


def _open_bar(stream: TextIO) -> Any:
    """A bar that is not yet started, or None where nobody could see it."""
    with contextlib.suppress(ModuleNotFoundError):  # the image that serves has no rich
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        console = Console(file=stream, highlight=False, soft_wrap=True)
        if console.is_terminal:
            columns = TextColumn("scoring"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[state]}")
            bar = Progress(*columns, console=console, transient=True)
            bar.add_task("", total=1.0, state="")
            return bar
    return None

"""How training goes, for people: a bar on a terminal, plain lines everywhere else.  Both write to stderr."""

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from retort.durations import format_seconds

if TYPE_CHECKING:  # the trainer is TensorFlow's, this is not
    from retort.training.trainer import Epoch, Listener

LINE_EVERY_S = 10.0


class Listeners:
    """Several listeners as one."""

    def __init__(self, listeners: Sequence["Listener"]) -> None:
        self._listeners = tuple(listeners)

    def on_step(self, step: int, n_steps: int, loss: float, learn_rate: float, examples_per_s: float) -> None:
        """Tell each of them."""
        for listener in self._listeners:
            listener.on_step(step, n_steps, loss, learn_rate, examples_per_s)

    def on_epoch(self, epoch: "Epoch", is_best: bool) -> None:
        """Tell each of them."""
        for listener in self._listeners:
            listener.on_epoch(epoch, is_best)


class TrainingProgress:
    """A listener that shows speed, time left and the best score so far.  Use it as a context."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._clock, self._last_line = clock, -LINE_EVERY_S
        self._start: tuple[float, int] | None = None  # time and step when the first step was done
        self._best = ""
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[state]}"),
            console=self._console, disable=not self._console.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=None, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def on_step(self, step: int, n_steps: int, loss: float, learn_rate: float, examples_per_s: float) -> None:
        """Move the bar; or print a line, where ten seconds have passed since the last."""
        now = self._clock()
        self._start = self._start or (now, step)
        state = f"{examples_per_s:.1f} examples/s · {self._time_left(now, step, n_steps)} · loss {loss:.4f}{self._best}"
        self._bar.update(self._task, completed=step, total=n_steps, state=escape(state))
        if not self._console.is_terminal and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._print(f"step {step}/{n_steps} · {state}")

    def on_epoch(self, epoch: "Epoch", is_best: bool) -> None:
        """Print the epoch's scores; they stay above the bar."""
        name, score = next(iter(epoch.scores.items()))
        if is_best:
            self._best = f" · best {name} {score:.4f} (epoch {epoch.number})"
        scores = " · ".join(f"{key} {value:.4f}" for key, value in epoch.scores.items())
        mark = " ← best so far" if is_best else ""
        self._print(f"epoch {epoch.number} · {format_seconds(epoch.seconds)} · loss {epoch.loss:.4f} · {scores}{mark}")

    def _time_left(self, now: float, step: int, n_steps: int) -> str:
        start, first = self._start or (now, step)
        if step == first:  # nothing to go by yet
            return f"{n_steps - step} steps left"
        return f"{format_seconds((now - start) / (step - first) * (n_steps - step))} left"

    def _print(self, line: str) -> None:
        self._console.print(escape(line))


class DownloadProgress:
    """What a download calls with the bytes done and, where known, in all.  Use it as a context."""

    def __init__(self, name: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._name, self._clock, self._last_line = name, clock, -LINE_EVERY_S
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(escape(name), total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        """Move the bar; or print a line: the first, the last, and one every ten seconds."""
        self._bar.update(self._task, completed=done_bytes, total=total_bytes)
        now = self._clock()
        if self._console.is_terminal or not (done_bytes == total_bytes or now - self._last_line >= LINE_EVERY_S):
            return
        self._last_line = now
        share = f" of {total_bytes / 1e6:.1f} MB ({100 * done_bytes / total_bytes:.0f} %)" if total_bytes else " MB"
        self._console.print(escape(f"{self._name}: {done_bytes / 1e6:.1f}{share}"))

"""Encodings of many requests share batches; each request gets its own logits.  Blind to what they mean.

What waits is cut into batches by padded tokens, not by count, as soon as a stream of the session is free: a batch is
whatever queued up while the last one ran.  Requests share the model fairly, token by token, so a list of thousands
holds up nobody's single text (self-clocked fair queueing, Golestani 1994).
"""

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from retort.engine.metrics import Metrics
from retort.engine.session import Session
from retort.errors import ClientLeft, DeadlinePassed, InferenceFailed, ModelNotReady, Overloaded, RetortError
from retort.tasks.base import Floats
from retort.tokenization.batch import collate, round_rows, round_width, trim_rows
from retort.tokenization.encoding import Encoding

MAX_SHARE = 4  # one request counts as at most a quarter of what may wait: however long, it cannot hold up the others
# What a batch costs beside its padded tokens, in tokens (measured with MiniLM): company that needs more padding than
# that is better off in a batch of its own.
BATCH_COST_TOKENS = 12
PREPARE_TOKENS = 12  # the same of a shape that is not the one that the stream ran last
MIN_SPLIT_TOKENS = 4 * BATCH_COST_TOKENS  # less is not worth a second stream


TOO_LATE = "The time for this request ran out before it was answered."
_NOTHING = np.zeros(0, np.float32)  # where no logits are yet, or never


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How batches are cut, and how much may wait.

    `max_batch_tokens` are padded tokens (0: what the session does best with); `max_wait_s` is how long a free stream
    waits for company.
    """

    max_batch_tokens: int = 0
    max_wait_s: float = 0.0
    max_waiting_tokens: int = 131_072


class Job:
    """The encodings of one request, on their way.  Made by `Batcher.submit`."""

    __slots__ = ("_batcher", "_call", "_done", "batched_tokens", "deadline", "error", "failures", "finished_s",
                 "n_left", "n_tokens", "rows", "started_s", "submitted_s", "waiting_tokens")  # fmt: skip

    def __init__(self, batcher: "Batcher", encodings: Sequence[Encoding], deadline: float | None) -> None:
        self._batcher, self.deadline = batcher, deadline
        self.rows: list[Floats] = [_NOTHING] * len(encodings)
        self.failures: dict[int, Exception] = {}
        self.error: RetortError | None = None  # of the whole
        self.n_left = len(encodings)
        self.n_tokens = self.waiting_tokens = sum(map(len, encodings))
        self.batched_tokens = 0
        self.submitted_s = time.perf_counter()
        self.started_s = self.finished_s = math.inf
        self._done = threading.Lock()
        self._done.acquire()
        self._call: Callable[[], None] | None = None

    def wait(self) -> None:
        """Until each encoding has its logits in `rows`, or its exception in `failures`; or until the deadline.

        Raises DeadlinePassed, ClientLeft, ModelNotReady: the whole is off; what was not yet computed never is.
        """
        left_s = -1.0 if self.deadline is None else max(0.0, self.deadline - time.perf_counter())
        if not self._done.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            self.expire()
            self._done.acquire()
        self.check()

    def on_done(self, call: Callable[[], None]) -> None:
        """Have `call` called, once, when there is nothing more to wait for: from any thread, and it must be quick."""
        if self._batcher.is_open(self, call):
            return
        call()

    def check(self) -> None:
        """Raises what `wait` raises."""
        if self.error is not None:
            raise self.error

    def expire(self) -> None:
        """Its time is over."""
        self._batcher.drop(self, DeadlinePassed(TOO_LATE))

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._batcher.drop(self, ClientLeft("The client left before it was answered."))

    def finish(self) -> None:
        """Wake who waits; for the batcher."""
        self.finished_s = time.perf_counter()
        self._done.release()
        if self._call is not None:
            self._call()


class _Entry(NamedTuple):
    tag: float  # who is served next: the least
    order: int
    encoding: Encoding
    job: Job
    row: int  # among the encodings of the job


class _Stream:
    """A thread's end of one of the session's streams."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.alarm = threading.Lock()  # who wakes it lets go of this
        self.alarm.acquire()
        self.since = math.inf  # when its batch began
        self.batch: list[_Entry] = []  # what it is at
        self._shape = (0, 0)  # of its last batch

    def surplus(self, n: int, width: int) -> int:
        """What a batch of `n` rows costs on this stream beyond its tokens, in tokens."""
        n_rows, last = self._shape
        return min(PREPARE_TOKENS, n_rows * last - n * width) if n <= n_rows and width <= last else PREPARE_TOKENS

    def choose_shape(self, n: int, width: int) -> tuple[int, int]:
        """Rows and width of a batch: those of the last one, where that costs less than to prepare for others."""
        if self.surplus(n, width) >= PREPARE_TOKENS:
            self._shape = (n, width)
        return self._shape


class Batcher:
    """What waits for one session, and the threads that run it: one for each of its streams."""

    def __init__(
        self, session: Session, pad_id: int, limits: BatchLimits, max_width: int, metrics: Metrics | None = None
    ) -> None:
        """`max_width` is how many tokens the model reads at most."""
        self._max_width = max_width
        self._session, self._pad_id, self._limits, self._metrics = session, pad_id, limits, metrics or Metrics()
        self._max_batch_tokens = limits.max_batch_tokens or session.max_batch_tokens
        self._lock = threading.Lock()
        self._streams = [_Stream(number) for number in range(session.n_streams)]
        self._idle: list[_Stream] = []  # who has rested longest comes first
        self._waiting: dict[int, list[_Entry]] = {}  # by width, each a heap
        self._waiting_jobs: set[Job] = set()
        self._waiting_tokens = 0
        self._charged_tokens = 0  # of them, as admission counts
        self._clock = 0.0  # tag of the latest batch
        self._order = itertools.count()
        self._is_closing = False
        self._threads = [
            threading.Thread(target=self._run_stream, args=[stream], name=f"batcher-{stream.number}", daemon=True)
            for stream in self._streams
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, encodings: Sequence[Encoding], deadline: float | None = None) -> Job:
        """Queue all of them, or none.  `deadline` is in seconds of `time.perf_counter`.

        Raises Overloaded: too many tokens wait already; ModelNotReady: the batcher was closed.
        """
        job = Job(self, encodings, deadline)
        if not encodings:
            job.finish()
            return job
        with self._lock:
            if self._is_closing:
                raise ModelNotReady("This model is no longer served; try again.")
            if self._waiting_jobs and self._charged_tokens + self._charge(job) > self._limits.max_waiting_tokens:
                self._metrics.refused("tokens")
                raise Overloaded("More texts are waiting than can be answered soon; try again later.")
            tag = self._clock
            for index, encoding in enumerate(encodings):
                tag += len(encoding)
                heap = self._waiting.setdefault(round_width(len(encoding), self._max_width), [])
                heapq.heappush(heap, _Entry(tag, next(self._order), encoding, job, index))
            self._waiting_jobs.add(job)
            self._waiting_tokens += job.n_tokens
            self._charged_tokens += self._charge(job)
            self._wake(len(encodings), round_width(len(encodings[0]), self._max_width))
        return job

    def drop(self, job: Job, error: RetortError) -> None:
        """Take what is left of a job out; nothing happens if it is done."""
        with self._lock:
            if job.n_left and job.error is None:
                self._drop(job, error)

    def is_open(self, job: Job, call: Callable[[], None]) -> bool:
        """Whether a job is not done; then `call` will be called when it is."""
        with self._lock:
            is_open = job.n_left > 0 and job.error is None
            job._call = call if is_open else None
        return is_open

    def stuck_s(self) -> float:
        """For how long the slowest stream has been at one batch."""
        now = time.perf_counter()
        return max(0.0, *(now - stream.since for stream in self._streams))

    @property
    def waiting(self) -> tuple[int, int]:
        """Requests and tokens that wait."""
        return len(self._waiting_jobs), self._waiting_tokens

    def close(self, timeout_s: float = 30.0) -> None:
        """Answer what waits, then end the threads and give the session's memory back.

        What is not answered after `timeout_s` fails with ModelNotReady.
        """
        with self._lock:
            self._is_closing = True
            self._wake(len(self._idle))
        end = time.perf_counter() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.perf_counter()))
        with self._lock:
            running = {entry.job for stream in self._streams for entry in stream.batch}
            for job in self._waiting_jobs | running:
                if job.n_left and job.error is None:
                    self._drop(job, ModelNotReady("This model is no longer served; try again."))
        if not any(thread.is_alive() for thread in self._threads):
            self._session.close()

    # Everything below runs in the streams' threads, or under the lock.

    def _charge(self, job: Job) -> int:
        return min(job.n_tokens, self._limits.max_waiting_tokens // MAX_SHARE)

    def _drop(self, job: Job, error: RetortError) -> None:
        self._metrics.dropped(type(error).__name__)
        job.error = error
        self._waiting_tokens -= job.waiting_tokens
        job.waiting_tokens = 0
        self._leave(job)
        job.finish()

    def _leave(self, job: Job) -> None:
        if job in self._waiting_jobs:
            self._waiting_jobs.remove(job)
            self._charged_tokens -= self._charge(job)

    def _wake(self, n: int, width: int = 0) -> None:
        """Up to `n` idle streams: who is prepared for `width`, else who has rested longest."""
        for _ in range(min(n, len(self._idle))):
            stream = min(self._idle, key=lambda s: s.surplus(1, width))
            self._idle.remove(stream)
            stream.alarm.release()

    def _run_stream(self, stream: "_Stream") -> None:
        while batch := self._take(stream):
            stream.since, stream.batch = time.perf_counter(), batch
            self._run(stream, batch)
            stream.since, stream.batch = math.inf, []

    def _take(self, stream: "_Stream") -> list[_Entry]:
        """The next batch, waited for; empty when the batcher is closed."""
        while True:
            with self._lock:
                if (pause_s := self._pause_s()) <= 0:
                    if batch := self._cut():
                        return batch
                    if self._is_closing:
                        return []
                    pause_s = -1.0  # until there is something
                self._idle.append(stream)
            if not stream.alarm.acquire(timeout=pause_s):
                with self._lock:
                    if stream in self._idle:  # nobody woke it
                        self._idle.remove(stream)
                    else:
                        stream.alarm.acquire()

    def _pause_s(self) -> float:
        """How much longer to wait for company."""
        if not self._limits.max_wait_s or self._is_closing or not self._waiting_jobs:
            return 0.0
        if self._waiting_tokens >= self._max_batch_tokens:
            return 0.0
        oldest = min(job.submitted_s for job in self._waiting_jobs)
        return oldest + self._limits.max_wait_s - time.perf_counter()

    def _cut(self) -> list[_Entry]:
        """Whoever is next, with company of about its length."""
        if (width := self._next_width()) is None:
            return []
        self._clock = max(self._clock, self._waiting[width][0].tag)
        share = max(MIN_SPLIT_TOKENS, self._waiting_tokens // (1 + len(self._idle)))  # no stream is left without
        batch = self._gather(self._choose_widths(width), min(self._max_batch_tokens, share))
        self._trim(batch)
        now = time.perf_counter()
        for entry in batch:
            job = entry.job
            job.started_s = min(job.started_s, now)
            job.waiting_tokens -= len(entry.encoding)
            self._waiting_tokens -= len(entry.encoding)
            if not job.waiting_tokens:
                self._leave(job)
        if self._waiting_jobs:
            self._wake(1)
        return batch

    def _choose_widths(self, width: int) -> list[int]:
        """Which encodings go with those of `width`, first these; then the widest, and so on."""
        widths = sorted(self._waiting)
        at = widths.index(width)
        n, widest = len(self._waiting[width]), at
        for wider in range(at + 1, len(widths)):
            if n * (widths[wider] - widths[widest]) >= BATCH_COST_TOKENS:
                break
            n, widest = n + len(self._waiting[widths[wider]]), wider
        narrowest = at
        while narrowest and self._padding(widths[narrowest - 1], widths[widest]) < BATCH_COST_TOKENS:
            narrowest -= 1
        return [width, *(w for w in reversed(widths[narrowest : widest + 1]) if w != width)]

    def _padding(self, width: int, widest: int) -> int:
        return len(self._waiting[width]) * (widest - width)

    def _gather(self, widths: list[int], max_tokens: int) -> list[_Entry]:
        """As many as fit, those of the first width before others."""
        batch: list[_Entry] = []
        widest = 0
        for width in widths:
            widest = max(widest, width)
            while self._has_waiting(width) and (not batch or (len(batch) + 1) * widest <= max_tokens):
                batch.append(heapq.heappop(self._waiting[width]))
        return batch

    def _trim(self, batch: list[_Entry]) -> None:
        """Who would make more padding than a batch of their own costs waits for that."""
        n, width = len(batch), max(self._width(entry) for entry in batch)
        if (round_rows(n) - n) * width >= BATCH_COST_TOKENS + PREPARE_TOKENS:
            for entry in batch[trim_rows(n) :]:
                heapq.heappush(self._waiting.setdefault(self._width(entry), []), entry)
            del batch[trim_rows(n) :]

    def _width(self, entry: _Entry) -> int:
        return round_width(len(entry.encoding), self._max_width)

    def _next_width(self) -> int | None:
        widths = [w for w in list(self._waiting) if self._has_waiting(w)]
        return min(widths, key=lambda w: self._waiting[w][0], default=None)

    def _has_waiting(self, width: int) -> bool:
        """Whether a width has anyone; who was dropped or is too late goes first."""
        heap, now = self._waiting[width], time.perf_counter()
        while heap:
            job = heap[0].job
            if job.error is None and job.deadline is not None and job.deadline <= now:
                self._drop(job, DeadlinePassed(TOO_LATE))
            if job.error is None:
                return True
            heapq.heappop(heap)
        del self._waiting[width]
        return False

    def _run(self, stream: "_Stream", batch: list[_Entry]) -> None:
        """Logits for each; a batch that fails is halved until who made it fail is alone."""
        n_rows, width = stream.choose_shape(round_rows(len(batch)), max(map(self._width, batch)))
        start = time.perf_counter()
        try:
            arrays = collate([entry.encoding for entry in batch], self._pad_id, width, n_rows)
            logits = self._session.run(arrays, stream.number)[: len(batch)]
            failures: dict[int, Exception] = {}
            if not np.isfinite(logits).all():
                rows = np.flatnonzero(~np.isfinite(logits).reshape(len(batch), -1).all(axis=1))
                failures = {int(row): InferenceFailed("The model gave no number for this input.") for row in rows}
        except Exception as e:
            if len(batch) > 1:
                self._run(stream, batch[: len(batch) // 2])
                self._run(stream, batch[len(batch) // 2 :])
                return
            logits, failures = np.full((1, 1), np.nan, np.float32), {0: e}
        self._metrics.ran(len(batch), n_rows * width, time.perf_counter() - start)
        with self._lock:
            for row, entry in enumerate(batch):
                self._deliver(entry, logits[row], failures.get(row), width)

    def _deliver(self, entry: _Entry, logits: Floats, failure: Exception | None, width: int) -> None:
        job = entry.job
        if job.error is not None:
            return
        if failure is None:
            job.rows[entry.row] = logits
        else:
            job.failures[entry.row] = failure
        job.batched_tokens += width
        job.n_left -= 1
        if not job.n_left:
            job.finish()

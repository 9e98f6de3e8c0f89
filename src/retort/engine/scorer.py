"""Chunks of inputs become answers that depend on nothing but their chunk, at full speed; for files, not for requests.

The shape of a batch moves the last bits of its logits, and the batcher's batches are whatever waits when a stream is
free.  Here they are cut by length within each chunk, so that scoring a file twice gives the same bytes.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from retort.engine.predictor import Answer, Predictor
from retort.errors import InferenceFailed
from retort.tasks.base import Floats, Input
from retort.tokenization.batch import collate, plan_batches, round_width
from retort.tokenization.encoding import Encoding

Logits = Floats | Exception
Encoded = list[Encoding] | Exception


@dataclass(frozen=True, slots=True)
class _Started:
    """A chunk whose batches are on their way: indices of its encodings, all in one row, and what they will give."""

    inputs: Sequence[Input]
    encoded: list[Encoded]
    batches: list[list[int]]
    logits: list[Future[list[Logits]]]


class Pending:
    """A chunk on its way.  Made by `Scorer.submit`."""

    def __init__(self, predictor: Predictor, started: Future[_Started]) -> None:
        self._predictor, self._started = predictor, started

    def wait(self) -> list[Answer]:
        """One answer for each input, in their order; what fails, fails alone."""
        started = self._started.result()
        rows: dict[int, Logits] = {}
        for indices, found in zip(started.batches, started.logits, strict=True):
            rows.update(zip(indices, found.result(), strict=True))
        answers, end = [], 0
        for given, encoded in zip(started.inputs, started.encoded, strict=True):
            if isinstance(encoded, Exception):
                answers.append(Answer(None, 0, False, encoded))
                continue
            start, end = end, end + len(encoded)
            answers.append(self._answer(given, encoded, [rows[i] for i in range(start, end)]))
        return answers

    def _answer(self, given: Input, encodings: list[Encoding], rows: list[Logits]) -> Answer:
        n_tokens, truncated = sum(map(len, encodings)), any(e.truncated for e in encodings)
        failure = next((row for row in rows if isinstance(row, Exception)), None)
        if failure is not None:
            return Answer(None, n_tokens, truncated, failure)
        logits = [row for row in rows if not isinstance(row, Exception)]
        return Answer(self._predictor.decode(given, encodings, logits), n_tokens, truncated)


class Scorer:
    """A predictor's session on all its streams, and a thread that tokenizes ahead of them.  Use it as a context."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self._session = predictor, predictor.session
        self._tokenizing = ThreadPoolExecutor(1, "tokenizing")
        self._running = ThreadPoolExecutor(predictor.session.n_streams, "running")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._tokenizing, self._running):
            pool.shutdown(cancel_futures=True)

    def submit(self, inputs: Sequence[Input]) -> Pending:
        """Begin with a chunk; chunks are run in the order in which they come."""
        return Pending(self._predictor, self._tokenizing.submit(self._start, inputs))

    def _start(self, inputs: Sequence[Input]) -> _Started:
        encoded = self._encode(inputs)
        flat = [e for encodings in encoded if not isinstance(encodings, Exception) for e in encodings]
        batches = plan_batches([self._width(len(e)) for e in flat], self._session.max_batch_tokens)
        batches.reverse()  # the largest first, so that the streams end together
        return _Started(
            inputs, encoded, batches, [self._running.submit(self._run, [flat[i] for i in b]) for b in batches]
        )

    def _encode(self, inputs: Sequence[Input]) -> list[Encoded]:
        served, tokenizer = self._predictor.artifact.served, self._predictor.tokenizer
        try:
            return list(served.encode(inputs, tokenizer))
        except Exception as e:
            if len(inputs) == 1:
                return [e]
            return [found for given in inputs for found in self._encode([given])]

    def _width(self, length: int) -> int:
        return round_width(length, self._predictor.artifact.served.max_seq_len)

    def _run(self, batch: list[Encoding]) -> list[Logits]:
        """Logits of each; a batch that fails is halved until who made it fail is alone."""
        try:
            width = self._width(max(map(len, batch)))
            logits = self._session.run(collate(batch, self._predictor.tokenizer.pad_id, width))
        except Exception as e:
            if len(batch) == 1:
                return [e]
            half = len(batch) // 2
            return self._run(batch[:half]) + self._run(batch[half:])
        return [
            row if np.isfinite(row).all() else InferenceFailed("The model gave no number for this input.")
            for row in logits
        ]

"""Inputs become predictions: encode, queue for a batch, decode, in the order they came."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from retort.artifact import Artifact
from retort.engine.batcher import TOO_LATE, Batcher, BatchLimits, Job
from retort.engine.metrics import Metrics
from retort.engine.session import Session
from retort.errors import DeadlinePassed, TooManyTokens
from retort.tasks.base import Floats, Input, Prediction
from retort.tokenization.batch import collate, plan_batches
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer

Watch = Callable[[Callable[[], None]], None]  # is given what to call when nobody waits for the answer any more


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction and what it took: `n_tokens` the model ran on (special tokens and all windows included), and
    whether some of the text was left out.  `failure` instead of a prediction where the model gave none."""

    prediction: Prediction | None
    n_tokens: int
    truncated: bool
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer for each input, in their order, and the bill: seconds of each stage, and `compute_tokens`, padding
    included.  Queue and inference together run from the first text's arrival to the last one's logits."""

    answers: tuple[Answer, ...]
    tokenization_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    compute_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """Inputs on their way through the batcher."""

    job: Job
    inputs: Sequence[Input]
    encodings: Sequence[Sequence[Encoding]]
    n_tokens: Sequence[int]
    tokenization_s: float


class Predictor:
    """One model, ready to answer.  Threads may share it."""

    def __init__(
        self,
        artifact: Artifact,
        session: Session,
        tokenizer: Tokenizer,
        limits: BatchLimits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.artifact, self.session, self.tokenizer = artifact, session, tokenizer
        self._metrics = metrics or Metrics()
        max_width = artifact.served.max_seq_len
        self.batcher = Batcher(session, tokenizer.pad_id, limits or BatchLimits(), max_width, self._metrics)

    def predict(
        self,
        inputs: Sequence[Input],
        max_tokens: int | None = None,
        deadline: float | None = None,
        watch: Watch | None = None,
    ) -> Answered:
        """One answer for each input, in their order.

        Raises what `begin` raises; later: DeadlinePassed; ClientLeft, where `watch` said so.
        """
        pending = self.begin(inputs, max_tokens, deadline)
        if watch is not None:
            watch(pending.job.cancel)
        pending.job.wait()
        return self.finish(pending)

    def begin(self, inputs: Sequence[Input], max_tokens: int | None = None, deadline: float | None = None) -> Pending:
        """Encode and queue; whoever waits for the job has `finish` make answers of it.  `deadline` is in seconds of
        `time.perf_counter`.

        Raises, before anything is computed: TooManyTokens, naming the index: together they have more than
        `max_tokens`; InvalidInput, naming the index: a pair that the model cannot read; Overloaded; DeadlinePassed.
        """
        start = time.perf_counter()
        if deadline is not None and deadline <= start:
            self._metrics.dropped(DeadlinePassed.__name__)
            raise DeadlinePassed(TOO_LATE)
        found = self.artifact.served.encode(inputs, self.tokenizer)
        n_tokens = [sum(map(len, encodings)) for encodings in found]
        _check_total(n_tokens, max_tokens)
        tokenization_s = time.perf_counter() - start
        job = self.batcher.submit([e for encodings in found for e in encodings], deadline)
        return Pending(job, inputs, found, n_tokens, tokenization_s)

    def finish(self, pending: Pending) -> Answered:
        """Logits become answers.

        Raises DeadlinePassed, ClientLeft, ModelNotReady: the job is off.
        """
        job, answers, end = pending.job, [], 0
        job.check()
        for given, encodings, n_tokens in zip(pending.inputs, pending.encodings, pending.n_tokens, strict=True):
            start, end = end, end + len(encodings)
            rows = range(start, end)
            truncated = any(e.truncated for e in encodings)
            failure = next((job.failures[row] for row in rows if row in job.failures), None) if job.failures else None
            prediction = None if failure else self.decode(given, encodings, job.rows[start:end])
            answers.append(Answer(prediction, n_tokens, truncated, failure))
        started = min(job.started_s, job.finished_s)
        answered = Answered(
            tuple(answers),
            pending.tokenization_s,
            started - job.submitted_s,
            job.finished_s - started,
            job.batched_tokens,
        )
        self._metrics.predicted(
            len(answers),
            len(job.failures),
            job.n_tokens,
            {"tokenization": answered.tokenization_s, "queue": answered.queue_s, "inference": answered.inference_s},
        )
        return answered

    def decode(self, given: Input, encodings: Sequence[Encoding], rows: Sequence[Floats]) -> Prediction:
        """The logits of an input's encodings become its prediction."""
        task = self.artifact.task
        return task.decode(given, encodings, task.join(encodings, rows), self.artifact.served.decoding)

    def logits(self, encodings: Sequence[Encoding]) -> list[Floats]:
        """Logits of each encoding: (n_labels,), or (T, n_labels) and more where words are labelled."""
        job = self.batcher.submit(encodings)
        job.wait()
        return job.rows

    def close(self) -> None:
        """Answer what waits, then give the session's memory back."""
        self.batcher.close()


def _check_total(n_tokens: Sequence[int], max_tokens: int | None) -> None:
    if max_tokens is not None and sum(n_tokens) > max_tokens:
        index = next(i for i, total in enumerate(accumulate(n_tokens)) if total > max_tokens)
        raise TooManyTokens(
            f"Expected at most {max_tokens} tokens in one request, got {sum(n_tokens)}; x[{index}] is the first "
            "beyond them. Send fewer texts at once."
        )


def run_encodings(
    session: Session, encodings: Sequence[Encoding], pad_id: int, max_batch_tokens: int = 512
) -> list[Floats]:
    """Logits of each encoding: (n_labels,), or (T, n_labels) where words are labelled.  For one caller; many share a
    `Batcher`.

    They run ordered by length, so that batches hold little padding; neither it nor the company changes an answer.
    """
    found: list[Floats] = [np.zeros(0, np.float32)] * len(encodings)
    for indices in plan_batches([len(e) for e in encodings], max_batch_tokens):
        logits = session.run(collate([encodings[i] for i in indices], pad_id))
        for index, row in zip(indices, logits, strict=True):
            found[index] = row[: len(encodings[index])] if row.ndim > 1 else row
    return found

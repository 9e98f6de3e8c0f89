"""Inputs become predictions: encode, plan batches, run, decode, in the order they came."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from retort.artifact import Artifact
from retort.engine.session import Session
from retort.errors import TooManyTokens
from retort.tasks.base import Floats, Input, Prediction
from retort.tokenization.batch import collate, plan_batches
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction and what it took: `n_tokens` the model ran on (special tokens and all windows included), and
    whether some of the text was left out."""

    prediction: Prediction
    n_tokens: int
    truncated: bool


class Predictor:
    """One model, ready to answer.  Threads may share it."""

    def __init__(self, artifact: Artifact, session: Session, tokenizer: Tokenizer, max_batch_tokens: int = 512) -> None:
        self.artifact = artifact
        self._session, self._tokenizer, self._max_batch_tokens = session, tokenizer, max_batch_tokens

    def predict(self, inputs: Sequence[Input], max_tokens: int | None = None) -> list[Answer]:
        """One answer for each input, in their order.

        Raises, before anything is computed and naming the index: TooManyTokens, together they have more than
        `max_tokens`; InvalidInput, a pair that the model cannot read.
        """
        served, task = self.artifact.served, self.artifact.task
        found = served.encode(inputs, self._tokenizer)
        n_tokens = [sum(map(len, encodings)) for encodings in found]
        if max_tokens is not None and sum(n_tokens) > max_tokens:
            index = next(i for i, total in enumerate(accumulate(n_tokens)) if total > max_tokens)
            raise TooManyTokens(
                f"Expected at most {max_tokens} tokens in one request, got {sum(n_tokens)}; x[{index}] is the first "
                "beyond them. Send fewer texts at once."
            )
        logits = self.logits([e for encodings in found for e in encodings])
        answers, end = [], 0
        for encodings, n in zip(found, n_tokens, strict=True):
            start, end = end, end + len(encodings)
            prediction = task.decode(logits[start:end], served.decoding)
            answers.append(Answer(prediction, n, any(e.truncated for e in encodings)))
        return answers

    def logits(self, encodings: Sequence[Encoding]) -> Floats:
        """Logits (N, n_labels) of N encodings, in their order."""
        return run_encodings(self._session, encodings, self._tokenizer.pad_id, self._max_batch_tokens)

    def close(self) -> None:
        """Give the session's memory back."""
        self._session.close()


def run_encodings(session: Session, encodings: Sequence[Encoding], pad_id: int, max_batch_tokens: int = 512) -> Floats:
    """Logits (N, n_labels) of N encodings, in their order; (0, 0) of none.

    They run ordered by length, so that batches hold little padding; neither it nor the company changes an answer.
    """
    order = plan_batches([len(e) for e in encodings], max_batch_tokens)
    if not order:
        return np.zeros((0, 0), np.float32)
    done = np.concatenate([session.run(collate([encodings[i] for i in rows], pad_id)) for rows in order])
    logits = np.empty_like(done)
    logits[np.concatenate(order)] = done
    return logits

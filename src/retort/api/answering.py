"""One request's texts go through the engine: its deadline, its client that may leave, its bill.

Every address that predicts comes through here.  The server sets `environ["retort.received"]`, when the request arrived
(seconds of `time.perf_counter`), and `environ["retort.watch"]`, which is told what to call when its client leaves.
"""

import time
from collections.abc import Sequence
from typing import Any

from flask import Response, g, request

from retort.api.access_log import note_answer
from retort.config import ServeSettings
from retort.engine.predictor import Answered, Predictor
from retort.errors import InferenceFailed, InvalidInput
from retort.tasks.base import Input, Prediction

TIMEOUT_HEADER = "X-Request-Timeout-Ms"


def answer(predictor: Predictor, inputs: Sequence[Input], settings: ServeSettings) -> Answered:
    """Predict within the request's deadline; what it took is kept for the log line and the headers.

    Raises what `Predictor.predict` raises; InvalidInput: the deadline's header is no number.
    """
    g.n_inputs, g.inputs = len(inputs), inputs
    watch = request.environ.get("retort.watch")
    g.predict_started = time.perf_counter()
    deadline = parse_deadline(request.headers.get(TIMEOUT_HEADER), g.started, settings)
    answered = predictor.predict(inputs, settings.max_tokens_per_request, deadline, watch)
    g.n_tokens = sum(a.n_tokens for a in answered.answers)
    g.model = predictor.artifact.version
    g.bill = answered
    return answered


def answer_all(predictor: Predictor, inputs: Sequence[Input], settings: ServeSettings) -> list[Prediction]:
    """A prediction for each input, for protocols that can leave none out; noted for the log line.

    Raises what `answer` raises; InferenceFailed: the model gave no answer to one of them.
    """
    answers = answer(predictor, inputs, settings).answers
    note_answer(predictor.artifact.version, answers)
    predictions = [a.prediction for a in answers if a.prediction is not None]
    if len(predictions) < len(answers):
        failed = next(index for index, a in enumerate(answers) if a.prediction is None)
        raise InferenceFailed(f"The model gave no answer to text {failed}; the server's log says why.")
    return predictions


def add_bill(response: Response) -> Response:
    """The headers that say what a prediction took."""
    here: Any = g._get_current_object()
    if here.bill is not None:
        for name, value in bill_headers(here.bill, time.perf_counter() - here.started):
            response.headers.add(name, value)
    return response


def bill_headers(bill: Answered, total_s: float) -> list[tuple[str, str]]:
    """Milliseconds of each stage, and tokens computed, padding included."""
    return [
        ("x-queue-time", f"{bill.queue_s * 1000:.2f}"),
        ("x-tokenization-time", f"{bill.tokenization_s * 1000:.2f}"),
        ("x-inference-time", f"{bill.inference_s * 1000:.2f}"),
        ("x-total-time", f"{total_s * 1000:.2f}"),
        ("x-compute-tokens", str(bill.compute_tokens)),
    ]


def parse_deadline(given: str | None, received: float, settings: ServeSettings) -> float:
    """In seconds of `time.perf_counter`, as `received` is; a client may only shorten what the settings allow.

    Raises InvalidInput: what is given is no number.
    """
    allowed_ms = settings.request_timeout_s * 1000.0
    if given is not None:
        if not (given.isascii() and given.isdigit() and 0 < len(given) <= 9):
            raise InvalidInput(f"`{TIMEOUT_HEADER}`: expected milliseconds, a whole number.")
        allowed_ms = min(allowed_ms, int(given))
    return received + allowed_ms / 1000

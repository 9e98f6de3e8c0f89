"""Each request becomes one line of JSON on stdout, and one in the counters.  Never holds what users wrote, except their
user agent and what `log_inputs` asks for.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Request, Response, g, request

from retort.api.input_log import InputLog
from retort.api.tracing import follow, parse_traceparent
from retort.engine.metrics import Metrics
from retort.engine.predictor import Answer
from retort.engine.registry import DEFAULT
from retort.tasks.base import Input, round_probability

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_USER_AGENT = 256
UNMATCHED = "unmatched"  # instead of an unknown path, which may hold anything

_turn = threading.Lock()


class AccessLog:
    """Where lines and counts go; the server writes those of requests that never reach the application.

    With `describe_inputs` lines have the key `inputs`, where `has_keys` the key `key_id`.
    """

    def __init__(self, metrics: Metrics, describe_inputs: InputLog | None = None, has_keys: bool = False) -> None:
        self._metrics, self._describe_inputs, self._has_keys = metrics, describe_inputs, has_keys

    def register(self, app: Flask) -> None:
        """Give every request of `app` an id (the client's `X-Request-Id` where it is a plain one) and a line."""
        app.before_request(_begin)
        app.after_request(self._end)
        app.extensions["access_log"] = self

    def write(
        self,
        status_code: int,
        request_id: str,
        user_ip: str | None,
        *,
        endpoint: str = UNMATCHED,
        model: str = "",
        response: dict[str, Any] | None = None,
        response_time: float = 0.0,
        user_agent: str = "",
        n_inputs: int = 0,
        n_tokens: int = 0,
        trace_id: str | None = None,
        key_id: str | None = None,
        inputs: Sequence[Input] | None = None,
        is_prediction: bool = False,
    ) -> None:
        """One line.  It is ASCII only, so no character of a client can end it."""
        self._metrics.answered(endpoint, model, status_code)
        if is_prediction:
            self._metrics.took("total", response_time)
        line: dict[str, Any] = {
            "endpoint": endpoint,
            "response": response,
            "status_code": status_code,
            "response_time": round(response_time, 6),
            "user_ip": user_ip,
            "user_agent": user_agent[:MAX_USER_AGENT],
            "request_id": request_id,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "n_inputs": n_inputs,
            "n_tokens": n_tokens,
            "trace_id": trace_id,
        }
        if self._has_keys:
            line["key_id"] = key_id
        if self._describe_inputs is not None:
            line["inputs"] = None if inputs is None else self._describe_inputs(inputs)
        text = json.dumps(line) + "\n"
        with _turn, suppress(OSError, ValueError):  # whoever read the log may be gone; that is no reason not to answer
            sys.stdout.write(text)
            sys.stdout.flush()

    def _end(self, response: Response) -> Response:
        here: Any = g._get_current_object()
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        rule = asked.url_rule
        response.headers.add("X-Request-Id", here.request_id)
        if here.trace is not None:
            response.headers.add("traceparent", here.trace.to_header())
        response_time = time.perf_counter() - here.started
        self.write(
            response.status_code,
            here.request_id,
            asked.remote_addr,
            endpoint=rule.rule if rule is not None else UNMATCHED,
            model=here.name_asked or _model_asked(asked),
            response=here.logged,
            response_time=response_time,
            user_agent=asked.environ.get("HTTP_USER_AGENT", ""),
            n_inputs=here.n_inputs,
            n_tokens=here.n_tokens,
            trace_id=here.trace and here.trace.trace_id,
            key_id=here.key_id,
            inputs=here.inputs,
            is_prediction=here.bill is not None,
        )
        return response


def _begin() -> None:
    """What is known of a request, for as long as it lasts."""
    here: Any = g._get_current_object()  # a proxy's every look costs half a microsecond
    environ = request.environ
    here.started = environ.get("retort.received") or time.perf_counter()
    here.request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID", ""))
    here.logged = here.inputs = here.bill = here.key_id = here.name_asked = None
    here.n_inputs = here.n_tokens = 0
    given = environ.get("HTTP_TRACEPARENT")
    here.asked_trace = parse_traceparent(given) if given else None
    here.trace = here.asked_trace and follow(here.asked_trace)


def choose_request_id(given: str) -> str:
    """The client's own where it is a plain one, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def note_answer(model: str, answers: Sequence[Answer]) -> None:
    """Keep for this request's line what was answered."""
    g.logged = what_was_answered(model, answers)


def what_was_answered(model: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """Of answers what their line holds: nothing that the user wrote, so of entities how many of each kind."""
    predictions = [answer.prediction for answer in answers]
    return {
        "model": model,
        "predictions": [None if p is None else p.summary for p in predictions],
        "probabilities": [None if p is None else round_probability(p.probability) for p in predictions],
    }


def _model_asked(asked: Request) -> str:
    """By name, which could be anything; empty where no model was asked."""
    predicts = asked.endpoint is not None and asked.endpoint.endswith("predict")
    return str((asked.view_args or {}).get("name") or (DEFAULT if predicts else ""))

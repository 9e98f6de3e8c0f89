"""Each request becomes one line of JSON on stdout, and one in the counters.  Never holds what users wrote, except their
user agent.
"""

import json
import re
import sys
import threading
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request

from retort.engine.metrics import Metrics
from retort.engine.registry import DEFAULT

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_USER_AGENT = 256
UNMATCHED = "unmatched"  # instead of an unknown path, which may hold anything

_turn = threading.Lock()


class AccessLog:
    """Where lines and counts go; the server writes those of requests that never reach the application."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

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
    ) -> None:
        """One line.  It is ASCII only, so no character of a client can end it."""
        self._metrics.answered(endpoint, model, status_code)
        line = {
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
        }
        text = json.dumps(line) + "\n"
        with _turn, suppress(OSError, ValueError):  # whoever read the log may be gone; that is no reason not to answer
            sys.stdout.write(text)
            sys.stdout.flush()

    def _end(self, response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response_time = time.perf_counter() - g.started
        if "bill" in g:
            self._metrics.took("total", response_time)
        self.write(
            response.status_code,
            g.request_id,
            request.remote_addr,
            endpoint=request.url_rule.rule if request.url_rule else UNMATCHED,
            model=_model_asked(),
            response=g.logged,
            response_time=response_time,
            user_agent=request.headers.get("User-Agent") or "",
            n_inputs=g.n_inputs,
            n_tokens=g.n_tokens,
        )
        return response


def _begin() -> None:
    g.started = request.environ.get("retort.received") or time.perf_counter()
    g.request_id = choose_request_id(request.headers.get("X-Request-Id", ""))
    g.logged, g.n_inputs, g.n_tokens = None, 0, 0


def choose_request_id(given: str) -> str:
    """The client's own where it is a plain one, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def note_answer(response: dict[str, Any]) -> None:
    """Keep for this request's line what was answered: model, predictions and probabilities."""
    g.logged = {key: response[key] for key in ("model", "predictions", "probabilities")}


def _model_asked() -> str:
    """By name, which could be anything; empty where no model was asked."""
    predicts = request.endpoint is not None and request.endpoint.endswith("predict")
    return str((request.view_args or {}).get("name") or (DEFAULT if predicts else ""))

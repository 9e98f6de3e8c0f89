"""Each request becomes one line of JSON on stdout.  Never holds what users wrote, except their user agent."""

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

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_USER_AGENT = 256
UNMATCHED = "unmatched"  # instead of an unknown path, which may hold anything

_turn = threading.Lock()


def register_access_log(app: Flask) -> None:
    """Give every request of `app` an id (the client's `X-Request-Id` where it is a plain one) and a line."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.logged, g.n_inputs, g.n_tokens = None, 0, 0


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    log_request(
        endpoint=request.url_rule.rule if request.url_rule else UNMATCHED,
        response=g.logged,
        status_code=response.status_code,
        response_time=round(time.perf_counter() - g.started, 6),
        user_ip=request.remote_addr,
        user_agent=(request.headers.get("User-Agent") or "")[:MAX_USER_AGENT],
        request_id=g.request_id,
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
        n_inputs=g.n_inputs,
        n_tokens=g.n_tokens,
    )
    return response


def note_answer(response: dict[str, Any]) -> None:
    """Keep for this request's line what was answered: model, predictions and probabilities, and how much it was."""
    g.logged = {key: response[key] for key in ("model", "predictions", "probabilities")}
    g.n_inputs = len(response["usage"])
    g.n_tokens = sum(usage["tokens"] for usage in response["usage"])


def log_request(**line: Any) -> None:
    """Write one line.  It is ASCII only, so no character of a client can end it."""
    text = json.dumps(line) + "\n"
    with _turn, suppress(OSError, ValueError):  # whoever read the log may be gone; that is no reason not to answer
        sys.stdout.write(text)
        sys.stdout.flush()

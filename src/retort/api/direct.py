"""`POST /predict` for the server's event loop: the same functions as `api/predict.py`, without a thread or a framework.

A plain request is begun in the loop and finished when its logits are there; half a thread switch a request instead of
four, and none of the framework's cost, which is more than a short text's tokenization, queue and log line together.
Whatever is not plain (another address, an unusual header, a long body) is left to the application, and so is
everything where a gate, CORS, a rate limit or tracing is on.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from retort.api.access_log import AccessLog, choose_request_id, what_was_answered
from retort.api.answering import TIMEOUT_HEADER, bill_headers, parse_deadline
from retort.api.errors import CRASH, build_envelope, describe_error
from retort.api.schema import build_response, parse_request
from retort.config import ServeSettings
from retort.engine.predictor import Answered, Pending, Predictor
from retort.engine.registry import DEFAULT, Registry
from retort.errors import RetortError
from retort.tasks.base import Input

PATH = "/predict"
MAX_BODY_BYTES = 16 * 1024  # longer ones would hold up the loop
JSON = b"application/json"

Headers = Sequence[tuple[bytes, bytes]]
Reply = tuple[int, list[tuple[str, str]], bytes]

_UNUSUAL = {b"content-encoding", b"traceparent"}

log = logging.getLogger(__name__)


class Call:
    """One request on its way through the engine."""

    def __init__(self, access_log: AccessLog, headers: dict[bytes, bytes], received: float, user_ip: str) -> None:
        self._log, self._received, self._user_ip = access_log, received, user_ip
        self._request_id = choose_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        self._user_agent = headers.get(b"user-agent", b"").decode("latin-1")
        self._lease: AbstractContextManager[Predictor] | None = None
        self._predictor: Predictor = None  # type: ignore[assignment]  # set with `_pending`
        self._pending: Pending | None = None
        self._answered: Answered | None = None
        self._error: Exception | None = None
        self._inputs: list[Input] | None = None
        self._top_k: int | None = None
        self.deadline = received

    def begin(self, registry: Registry, settings: ServeSettings, body: bytes, timeout: bytes | None) -> None:
        """Up to the queue; an error waits for `finish`."""
        try:
            lease = registry.lease()
            self._predictor = predictor = lease.__enter__()
            self._lease = lease
            asked = parse_request(body, predictor.artifact.task, settings.max_texts_per_request)
            self._inputs, self._top_k = asked.inputs, asked.top_k
            given = None if timeout is None else timeout.decode("latin-1")
            self.deadline = parse_deadline(given, self._received, settings)
            self._pending = predictor.begin(asked.inputs, settings.max_tokens_per_request, self.deadline)
        except Exception as e:
            self._error = e

    def on_done(self, call: Callable[[], None]) -> None:
        """Have `call` called, from any thread, when `finish` need not wait."""
        if self._pending is None:
            call()
        else:
            self._pending.job.on_done(call)

    def cancel(self) -> None:
        """Nobody waits any more."""
        if self._pending is not None:
            self._pending.job.cancel()

    def expire(self) -> None:
        """Its time is over."""
        if self._pending is not None:
            self._pending.job.expire()

    def finish(self) -> Reply:
        """The answer; its line is written."""
        try:
            if self._error is not None:
                raise self._error
            assert self._pending is not None  # noqa: S101
            self._answered = self._predictor.finish(self._pending)
            response = build_response(self._predictor.artifact.version, self._answered.answers, self._top_k)
            return self._answer(200, response, what_was_answered(response["model"], self._answered.answers))
        except Exception as e:
            return self._fail(e)
        finally:
            if self._lease is not None:
                self._lease.__exit__(None, None, None)

    def _fail(self, error: Exception) -> Reply:
        found = describe_error(error) if isinstance(error, RetortError) else None
        if found is None:
            log.error("request %s failed", self._request_id, exc_info=error)
            found = CRASH
        envelope = build_envelope(found.error_type, found.message, self._request_id)
        return self._answer(found.status, envelope, None, found.headers)

    def _answer(
        self,
        status: int,
        content: dict[str, Any],
        logged: dict[str, Any] | None,
        more: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        body = json.dumps(content, separators=(",", ":")).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *more]
        spent, bill = time.perf_counter() - self._received, self._answered
        if bill is not None:
            headers += bill_headers(bill, spent)
        headers.append(("X-Request-Id", self._request_id))
        self._log.write(
            status,
            self._request_id,
            self._user_ip,
            endpoint=PATH,
            model=DEFAULT,
            response=logged,
            response_time=spent,
            user_agent=self._user_agent,
            n_inputs=len(self._inputs or ()),
            n_tokens=sum(a.n_tokens for a in bill.answers) if bill else 0,
            inputs=self._inputs,
            is_prediction=bill is not None,
        )
        return status, headers, body


class Direct:
    """Takes plain predictions; one for a server."""

    def __init__(self, registry: Registry, settings: ServeSettings, access_log: AccessLog) -> None:
        self._registry, self._settings, self._log = registry, settings, access_log

    def begin(self, headers: Headers, body: bytes, received: float, user_ip: str) -> Call | None:
        """A POST to `PATH` on its way; None when the application should take it.  It never raises."""
        if len(body) > MAX_BODY_BYTES:
            return None
        named = {name.lower(): value for name, value in headers}
        if named.get(b"content-type") != JSON or len(named) < len(headers) or not _UNUSUAL.isdisjoint(named):
            return None
        call = Call(self._log, named, received, user_ip)
        call.begin(self._registry, self._settings, body, named.get(TIMEOUT_HEADER.lower().encode()))
        return call

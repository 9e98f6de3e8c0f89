"""Errors become answers: one table of statuses, one envelope for all of them."""

import logging
from dataclasses import dataclass

from flask import Flask, Response, g, jsonify
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from retort.errors import (
    BodyTooLong,
    CannotWrite,
    ClientLeft,
    DeadlinePassed,
    Forbidden,
    InferenceFailed,
    InvalidInput,
    ModelInUse,
    ModelNotReady,
    ModelRefused,
    NoSuchDocument,
    NoSuchModel,
    NotJson,
    Overloaded,
    RetortError,
    TooManyTexts,
    TooManyTokens,
    Unauthorized,
    UnknownModel,
)

STATUSES: dict[type[RetortError], int] = {
    NotJson: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NoSuchModel: 404,
    NoSuchDocument: 404,
    UnknownModel: 404,
    ModelInUse: 409,
    BodyTooLong: 413,
    TooManyTexts: 413,
    InvalidInput: 422,
    ModelRefused: 422,
    TooManyTokens: 422,
    Overloaded: 429,
    ClientLeft: 499,  # nobody reads it; the log line and the counters do
    InferenceFailed: 500,
    ModelNotReady: 503,
    DeadlinePassed: 504,
    CannotWrite: 507,
}
RETRY_AFTER_S = 1

# For what Flask and werkzeug raise: their own texts speak to people with a browser.
_TYPES = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed", 415: "UnsupportedBody"}
_MESSAGES = {
    400: "The request could not be read.",
    404: "There is no such address here; predictions are at POST /predict.",
    405: "This address does not take that method.",
    500: "Something went wrong here; the server's log says what, under this request's id.",
}

log = logging.getLogger(__name__)


class UnsupportedBody(HTTPException):
    """The body's type or encoding is not taken."""

    code: int = 415


class Envelope(BaseModel):
    """What every answer that is no success holds."""

    error: str
    error_type: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Described:
    """An error as it is answered."""

    status: int
    error_type: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


CRASH = Described(500, "InternalError", _MESSAGES[500])


def register_errors(app: Flask) -> None:
    """Make every error of `app` an envelope `{"error", "error_type", "request_id"}`."""
    app.register_error_handler(RetortError, _answer_retort_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_crash)


def build_envelope(error_type: str, message: str, request_id: str) -> dict[str, str]:
    """What every answer that is no success holds."""
    return {"error": message, "error_type": error_type, "request_id": request_id}


def _envelope(found: Described) -> Response:
    response = jsonify(build_envelope(found.error_type, found.message, g.request_id))
    response.status_code = found.status
    for name, value in found.headers:
        response.headers[name] = value
    return response


def describe_error(error: RetortError) -> Described | None:
    """What is answered to it; None where it is a fault of ours."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    if status is None:
        return None
    retry_after_s = getattr(error, "retry_after_s", RETRY_AFTER_S)
    return Described(status, type(error).__name__, str(error), _more_headers(status, retry_after_s))


def _more_headers(status: int, retry_after_s: int = RETRY_AFTER_S) -> tuple[tuple[str, str], ...]:
    if status in (429, 503):
        return (("Retry-After", str(retry_after_s)),)
    return (("WWW-Authenticate", "Bearer"),) if status == 401 else ()


def _answer_retort_error(error: RetortError) -> Response:
    found = describe_error(error)
    return _answer_crash(error) if found is None else _envelope(found)


def _answer_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    message = (error.description if isinstance(error, UnsupportedBody) else None) or _MESSAGES.get(status, error.name)
    response = _envelope(Described(status, _TYPES.get(status, type(error).__name__), message, _more_headers(status)))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _answer_crash(error: Exception) -> Response:
    log.error("request %s failed", g.request_id, exc_info=error)
    return _envelope(CRASH)

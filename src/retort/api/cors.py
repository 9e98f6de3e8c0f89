"""Pages of other origins may ask from a browser, if the settings name them.

No answer ever allows credentials: keys come in headers that a page sets itself, never in cookies.
"""

import re

from flask import Flask, Response, request

PREFLIGHT_MAX_AGE_S = 600
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = re.compile(r"[A-Za-z0-9_, -]{1,1000}")
EXPOSED = ", ".join(
    ("X-Request-Id", "Retry-After", "traceparent", "x-queue-time", "x-tokenization-time", "x-inference-time",
     "x-total-time", "x-compute-tokens")
)  # fmt: skip


class Cors:
    """Answers preflights, before anybody asks for a key, and marks what pages of `origins` (or `*`) may read."""

    def __init__(self, origins: list[str]) -> None:
        self._origins, self._is_any = set(origins), "*" in origins

    def register(self, app: Flask) -> None:
        """Before whatever else may refuse a request of `app`."""
        app.before_request(self._answer_preflight)
        app.after_request(self._mark)

    def _answer_preflight(self) -> Response | None:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or not asked or self._allowed() is None:
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_S)
        if HEADERS.fullmatch(names := request.headers.get("Access-Control-Request-Headers", "")):
            response.headers["Access-Control-Allow-Headers"] = names
        response.vary.update(("Access-Control-Request-Method", "Access-Control-Request-Headers"))
        return response

    def _mark(self, response: Response) -> Response:
        if (origin := self._allowed()) is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if not self._is_any:
            response.vary.add("Origin")
        return response

    def _allowed(self) -> str | None:
        origin = request.headers.get("Origin")
        if origin is None:
            return None
        return "*" if self._is_any else origin if origin in self._origins else None

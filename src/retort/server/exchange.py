"""One request, read whole, and the bytes that answer it: HTTP on one side, WSGI on the other.  Knows no socket."""

import http.client
import io
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from retort.api.direct import Reply
from retort.api.errors import RETRY_AFTER_S, build_envelope

Address = tuple[str, int]

_NO_BODY = {204, 304}


@dataclass(slots=True, eq=False)
class Exchange:
    """A request as it was sent: `headers` keep their order, `target` is what stands between method and version."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    received: float = field(default_factory=time.perf_counter)
    body: bytearray = field(default_factory=bytearray)
    declared_length: int | None = None  # beyond what is allowed; `body` then holds nothing or a part
    has_left: bool = False  # its client
    _leave: Callable[[], None] | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether `body` is not all of it."""
        return self.declared_length is not None

    @property
    def path(self) -> str:
        """Without the query, as it was sent."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> str:
        """The first of that (lower-case) name, else nothing."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")

    def watch(self, leave: Callable[[], None]) -> None:
        """Have `leave` called when the client leaves; at once when it has."""
        self._leave = leave
        if self.has_left:
            leave()

    def leave(self) -> None:
        """The client is gone."""
        self.has_left = True
        if self._leave is not None:
            self._leave()


def build_environ(exchange: Exchange, server: Address, client: Address) -> WSGIEnvironment:
    """What WSGI (PEP 3333) wants to know.  Names with an underscore are left out: they could pass for others."""
    path, _, query = exchange.target.partition(b"?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": exchange.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{exchange.version}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(exchange.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "retort.received": exchange.received,
        "retort.watch": exchange.watch,
    }
    for raw_name, raw_value in exchange.headers:
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name == "CONTENT_TYPE" else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    for framing in ("HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH"):  # the body is whole
        environ.pop(framing, None)
    if exchange.declared_length is not None or exchange.body:
        environ["CONTENT_LENGTH"] = str(exchange.declared_length or len(exchange.body))
    return environ


def run_application(app: WSGIApplication, environ: WSGIEnvironment) -> Reply:
    """What a WSGI application answers."""
    begun: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[..., object]:
        begun[:] = [status, headers]
        return lambda _: None

    pieces: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(pieces)
    finally:
        if close := getattr(pieces, "close", None):
            close()
    status, headers = begun
    return int(status[:3]), headers, body


def format_response(
    status: int, headers: list[tuple[str, str]], body: bytes, keep_alive: bool, is_head: bool = False
) -> bytes:
    """An answer's bytes.  What could end a header is taken out of it."""
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}", f"Date: {_date()}"]
    has_length = False
    for name, value in headers:
        has_length |= name.lower() == "content-length"
        lines.append(f"{name}: {value}" if "\n" not in value and "\r" not in value else f"{name}: ")
    if not has_length and status not in _NO_BODY:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: keep-alive\r\n\r\n" if keep_alive else "Connection: close\r\n\r\n")
    head = "\r\n".join(lines).encode("latin-1")
    return head if is_head else head + body


def format_error(
    status: int, error_type: str, message: str, request_id: str, keep_alive: bool = False, is_head: bool = False
) -> bytes:
    """The envelope of an error that the application never saw."""
    headers = [("Content-Type", "application/json"), ("X-Request-Id", request_id)]
    if status in (429, 503):
        headers.append(("Retry-After", str(RETRY_AFTER_S)))
    body = json.dumps(build_envelope(error_type, message, request_id)).encode() + b"\n"
    return format_response(status, headers, body, keep_alive, is_head)


_date_of: tuple[int, str] = (0, "")


def _date() -> str:
    """Now, as HTTP writes it; made once a second."""
    global _date_of
    now = int(time.time())
    if _date_of[0] != now:
        _date_of = (now, formatdate(now, usegmt=True))
    return _date_of[1]

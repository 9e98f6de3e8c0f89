"""One client's connection: bytes become exchanges, one after the other, and answers go back in their order.

Everything here runs in the event loop's thread.  A request costs no thread until its last byte has come.
"""

import asyncio
import enum
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import httptools

from retort.server.exchange import Address, Exchange

MAX_TARGET_BYTES = 8190
MAX_HEADERS = 100
MAX_HEAD_BYTES = 64 * 1024
MAX_DISCARDED_BYTES = 64 * 2**20
MAX_PIPELINED = 16  # then nothing more is read
MAX_BURST = 256  # of what was read already
SMALL_BODY_BYTES = 64 * 1024  # is always kept


class Fault(Exception):
    """A request that cannot be answered by the application."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_type = status, error_type


NOT_HTTP = Fault(400, "NotHttp", "Expected a request in HTTP/1.1; this one could not be read.")
BROKEN_OFF = Fault(400, "NotHttp", "Expected a whole request; this one broke off.")
TARGET_TOO_LONG = Fault(414, "AddressTooLong", "Expected a shorter address; predictions are at POST /predict.")
HEADERS_TOO_LONG = Fault(431, "HeadersTooLong", "Expected fewer or shorter headers.")
TOO_MANY = Fault(429, "Overloaded", "Expected at most 256 requests on a connection before their answers.")
TOO_SLOW = Fault(408, "TooSlow", "Expected the whole request sooner; send it without pauses.")


class State(enum.Enum):
    """What a connection waits for."""

    IDLE = enum.auto()  # the first byte of a request
    READING = enum.auto()  # the rest of it
    ANSWERING = enum.auto()  # the application
    LINGERING = enum.auto()  # the client, to take the last answer and go


class Desk(Protocol):
    """Who answers."""

    max_body_bytes: int

    def handle(self, connection: "Connection", exchange: Exchange) -> None:
        """Answer, now or later, by `connection.respond`."""

    def refuse(self, connection: "Connection", fault: Fault) -> bytes:
        """The answer to what is no request; it is logged."""

    def has_room_for(self, n_bytes: int) -> bool:
        """Whether so much more may be kept of bodies that are not whole yet."""

    def opened(self, connection: "Connection") -> None:
        """A client came."""

    def closed(self, connection: "Connection") -> None:
        """It is gone."""


@dataclass(slots=True)
class _Head:
    """What is known of a request while it comes."""

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = None  # type: ignore[assignment]
    n_header_bytes: int = 0
    n_bytes: int = 0  # since it began or since the last piece of its body
    is_whole: bool = False


class Connection(asyncio.Protocol):
    """A client, as the event loop sees it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._parser = httptools.HttpRequestParser(self)
        self.state = State.IDLE
        self.since = self.heard = time.monotonic()  # when the state began; when the client last sent something
        self.peer: Address = ("", 0)
        self.is_stopping = False  # the next answer is the last
        self._head = _Head()
        self._exchange: Exchange | None = None  # on its way in
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._fault: Fault | None = None
        self._n_discarded = 0
        self._is_full = False  # the client does not take its answers
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # comes with `connection_made`

    @property
    def kept_bytes(self) -> int:
        """Of bodies that are not answered yet."""
        incoming = len(self._exchange.body) if self._exchange else 0
        return incoming + sum(len(e.body) for e in self._waiting)

    # asyncio calls these.

    def connection_made(self, transport: Any) -> None:
        """A client came."""
        self._transport = transport
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._desk.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; nobody waits for what is being computed."""
        if self._answering is not None:
            self._answering.leave()
        self._waiting.clear()
        self._desk.closed(self)

    def eof_received(self) -> bool:
        """The client sends no more: it is gone, and nobody waits for what is being computed."""
        if self.state is State.READING:
            self._refuse(BROKEN_OFF)
        if self._answering is not None:
            self._answering.leave()
        return False

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.state is State.LINGERING:
            self._discard(len(data))
            return
        if self.state is State.IDLE:
            self._enter(State.READING)
        self._head.n_bytes += len(data)
        self._parse(data)
        if self._fault is None and self._head.n_bytes > MAX_HEAD_BYTES:
            self._fault = HEADERS_TOO_LONG
        if self._fault is not None and self._answering is None:
            self._refuse(self._fault)

    def pause_writing(self) -> None:
        """The client does not take what it asked for: it is not asked for more."""
        self._is_full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self._is_full = False
        if self._transport.is_closing():
            return
        if self._answering is None and self.state is not State.LINGERING:
            self._go_on()

    # httptools calls these.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = _Head(headers=[], n_bytes=self._head.n_bytes)

    def on_url(self, piece: bytes) -> None:
        """Perhaps in pieces."""
        self._head.target += piece
        if len(self._head.target) > MAX_TARGET_BYTES:
            self._fault = self._fault or TARGET_TOO_LONG

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line; behind a body it says nothing."""
        if self._head.is_whole:
            return
        self._head.headers.append((name, value.rstrip(b" \t")))
        self._head.n_header_bytes += len(name) + len(value)
        if len(self._head.headers) > MAX_HEADERS or self._head.n_header_bytes > MAX_HEAD_BYTES:
            self._fault = self._fault or HEADERS_TOO_LONG

    def on_headers_complete(self) -> None:
        """What comes now is the body."""
        if self._wants_another_protocol():
            return
        self._head.is_whole = True
        if self._fault is not None:
            return
        method = self._parser.get_method().decode("latin-1")
        version = self._parser.get_http_version()
        keeps = self._parser.should_keep_alive()
        exchange = Exchange(method, _origin_form(self._head.target), version, self._head.headers, keeps)
        self._exchange = exchange
        length = exchange.header(b"content-length")
        if length.isdigit() and int(length) > self._desk.max_body_bytes:
            self._give_up(exchange, int(length))
        elif exchange.header(b"expect").lower() == "100-continue" and self._answering is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """A part of the body."""
        exchange = self._exchange
        self._head.n_bytes = 0
        if exchange is None:  # given up
            self._discard(len(piece))
        elif len(exchange.body) + len(piece) > SMALL_BODY_BYTES and not self._desk.has_room_for(len(piece)):
            self._exchange, self._fault = None, _NO_ROOM
        else:
            exchange.body += piece
            if len(exchange.body) > self._desk.max_body_bytes:
                self._give_up(exchange, len(exchange.body))

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._wants_another_protocol():
            return
        exchange, self._exchange = self._exchange, None
        self._head = _Head()
        if exchange is not None and self._fault is None:
            self._admit(exchange)

    # The desk calls these.

    def respond(self, exchange: Exchange, answer: bytes) -> None:
        """Send what answers `exchange`, and turn to the next."""
        if self._answering is not exchange:
            return
        self._answering = None
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if exchange.is_too_long:  # its body may still be coming
            self._linger()
        elif not exchange.keep_alive:
            self._enter(State.IDLE)  # until it has the answer
            self._transport.close()
        else:
            self._go_on()

    def keeps(self, exchange: Exchange) -> bool:
        """Whether more may come after `exchange`: what its answer says then holds, whatever happens meanwhile."""
        exchange.keep_alive = exchange.keep_alive and not (self.is_stopping and not self._waiting)
        return exchange.keep_alive

    def time_out(self) -> None:
        """A request takes too long to come."""
        self._refuse(TOO_SLOW)

    def close(self) -> None:
        """Send what is written, then go."""
        self._transport.close()

    def abort(self) -> None:
        """Go."""
        self._transport.abort()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as e:
                data = self._head_of_this_protocol() + data[e.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError:
                self._fault = self._fault or NOT_HTTP
                return

    def _wants_another_protocol(self) -> bool:
        """Which is asked for politely: we stay with HTTP/1.1.  The parser stops there, in front of the body."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def _head_of_this_protocol(self) -> bytes:
        """The same request to be read again, not asking for another protocol; nothing where it was read."""
        if not self._head.headers:
            return b""
        kept = [b"%s: %s" % pair for pair in self._head.headers if pair[0].lower() != b"upgrade"]
        line = b"%s %s HTTP/%s" % (
            self._parser.get_method(), self._head.target, self._parser.get_http_version().encode()
        )  # fmt: skip
        return b"\r\n".join([line, *kept, b"", b""])

    def _admit(self, exchange: Exchange) -> None:
        if self._answering is None and not self._waiting and not self._is_full:
            self._start(exchange)
            return
        self._waiting.append(exchange)
        if len(self._waiting) >= MAX_PIPELINED:
            self._transport.pause_reading()
        if len(self._waiting) >= MAX_BURST:
            self._fault = self._fault or TOO_MANY

    def _go_on(self) -> None:
        """Turn to what came meanwhile, if the client takes its answers."""
        if self._is_full:
            self._enter(State.IDLE)
        elif self._waiting:
            self._start(self._waiting.popleft())
        elif self._fault is not None:
            self._refuse(self._fault)
        else:
            self._enter(State.READING if self._exchange or self._head.headers else State.IDLE)
        if not self._is_full and len(self._waiting) < MAX_PIPELINED and not self._transport.is_closing():
            self._transport.resume_reading()

    def _start(self, exchange: Exchange) -> None:
        self._answering = exchange
        exchange.received = time.perf_counter()
        self._enter(State.ANSWERING)
        self._desk.handle(self, exchange)

    def _give_up(self, exchange: Exchange, declared_length: int) -> None:
        """Of a body that is too long only this is of interest; the application answers that."""
        self._exchange = None
        exchange.declared_length = max(declared_length, self._desk.max_body_bytes + 2)
        exchange.keep_alive = False
        exchange.body = bytearray()
        self._admit(exchange)

    def _refuse(self, fault: Fault) -> None:
        self._exchange = None
        self._transport.write(self._desk.refuse(self, fault))
        self._linger()

    def _linger(self) -> None:
        """Say that this was the last answer, and wait until the client has it: who closes on unread bytes takes the
        answer away."""
        self._enter(State.LINGERING)
        self._fault = None
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _discard(self, n_bytes: int) -> None:
        self._n_discarded += n_bytes
        self.heard = time.monotonic()
        if self._n_discarded > MAX_DISCARDED_BYTES:
            self._transport.abort()

    def _enter(self, state: State) -> None:
        self.state = state
        self.since = self.heard = time.monotonic()


_NO_ROOM = Fault(429, "Overloaded", "Too many long requests are being sent; try again later.")


def _origin_form(target: bytes) -> bytes:
    """`http://host/path` is for proxies; what matters here is `/path`."""
    if target.startswith(b"/") or b"://" not in target:
        return target
    return b"/" + target.split(b"://", 1)[1].partition(b"/")[2]

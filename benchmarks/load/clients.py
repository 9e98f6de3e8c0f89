"""Clients of an HTTP server: one thread, raw sockets, epoll, requests made of bytes beforehand.

Each client sends its next request when its last one was answered (a closed loop) and keeps its connection for as long
as the server does.  Of an answer it reads the status and the length, no more, so the cores are left to the server.
"""

import errno
import gc
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

FEW = 20
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT


@dataclass(slots=True)
class Load:
    """What a run of clients saw: seconds that each answer took, and what went wrong, by its kind."""

    duration_s: float = 0.0
    cpu_s: float = 0.0  # of the clients themselves
    latencies_s: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    n_connections: int = 0
    bodies: dict[int, bytes] = field(default_factory=dict)  # by request, where they were asked for

    def note(self, error: str) -> None:
        self.errors[error] = self.errors.get(error, 0) + 1

    def restart(self) -> None:
        """Forget the warm-up."""
        self.latencies_s, self.errors, self.n_connections = [], {}, 0


def build_request(path: str, body: bytes) -> bytes:
    """One POST, ready to be sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def press(
    port: int,
    requests: Sequence[bytes],
    n_clients: int,
    seconds: float,
    warm_up_s: float = 0.0,
    mark: Callable[[], None] = lambda: None,
    timeout_s: float = 60.0,
) -> Load:
    """Send `requests` in turn, over and over; `mark` is called when counting starts and when it ends.

    It takes `seconds`, or up to three times as long where there were fewer than `FEW` answers.  Those that come after
    the end are not counted.  A client that waits for longer than `timeout_s` is an error.
    """
    clients = _Clients(port, cycle(enumerate(requests)), timeout_s)
    gc.disable()
    try:
        clients.start(n_clients)
        if warm_up_s:
            clients.run(warm_up_s)
            clients.load.restart()
        mark()
        started, cpu = time.perf_counter(), time.process_time()
        clients.run(seconds)
        while len(clients.load.latencies_s) < FEW and time.perf_counter() - started < 3 * seconds:
            clients.run(seconds / 8)
        clients.load.duration_s = time.perf_counter() - started
        clients.load.cpu_s = time.process_time() - cpu
        mark()
    finally:
        clients.close()
        gc.enable()
    return clients.load


def ask_all(port: int, requests: Sequence[bytes], n_clients: int, limit_s: float, timeout_s: float = 60.0) -> Load:
    """Send each request once and keep the bodies of the answers."""
    clients = _Clients(port, iter(enumerate(requests)), timeout_s, keeps_bodies=True)
    started = time.perf_counter()
    try:
        clients.start(n_clients)
        clients.run(limit_s)
    finally:
        clients.close()
    clients.load.duration_s = time.perf_counter() - started
    return clients.load


@dataclass(slots=True)
class _Client:
    connection: socket.socket | None = None
    request: bytes = b""
    index: int = -1
    n_sent: int = 0
    is_fresh: bool = True  # nothing was answered on this connection yet
    is_blocked: bool = False  # the connection does not take more of the request at the moment
    began: float = 0.0
    received: bytes = b""


class _Clients:
    def __init__(
        self, port: int, source: Iterator[tuple[int, bytes]], timeout_s: float, keeps_bodies: bool = False
    ) -> None:
        self._address, self._source, self._timeout_s = ("127.0.0.1", port), source, timeout_s
        self._keeps_bodies = keeps_bodies
        self._poll = select.epoll()
        self._busy: dict[int, _Client] = {}  # by file descriptor
        self._later: list[tuple[float, _Client]] = []  # pauses after a refusal
        self.load = Load()

    def start(self, n: int) -> None:
        for _ in range(n):
            self._next(_Client())

    def run(self, seconds: float) -> None:
        """Until the time is up or all is answered."""
        now = time.perf_counter()
        end, swept = now + seconds, now
        poll, busy = self._poll.poll, self._busy
        while (busy or self._later) and now < end:
            events = poll(min(0.2, end - now))
            now = time.perf_counter()
            for descriptor, event in events:
                client = busy[descriptor]
                if event & _WRITE and not event & ~_WRITE:
                    self._write(client)
                else:
                    self._read(client, now)
            if now - swept > 0.2 or self._later:
                swept = now
                self._sweep(now)

    def close(self) -> None:
        for client in [*self._busy.values(), *(c for _, c in self._later)]:
            if client.connection:
                client.connection.close()
        self._busy.clear()
        self._poll.close()

    def _next(self, client: _Client) -> None:
        item = next(self._source, None)
        if item is None:
            self._drop(client)
            return
        client.index, client.request = item
        client.began = time.perf_counter()
        self._send(client)

    def _send(self, client: _Client) -> None:
        """From the start, on the connection it has or on a new one."""
        client.n_sent, client.received = 0, b""
        if client.connection is None:
            self._connect(client)
        self._write(client)

    def _connect(self, client: _Client) -> None:
        client.connection = socket.socket()
        client.connection.setblocking(False)
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.is_fresh, client.is_blocked = True, False
        self.load.n_connections += 1
        client.connection.connect_ex(self._address)
        self._busy[client.connection.fileno()] = client
        self._poll.register(client.connection, _READ)

    def _write(self, client: _Client) -> None:
        assert client.connection
        rest = client.request[client.n_sent :] if client.n_sent else client.request
        try:
            client.n_sent += client.connection.send(rest)
        except BlockingIOError:
            pass
        except OSError as e:
            if e.errno != errno.ENOTCONN:  # still connecting
                self._broken(client, e)
                return
        is_blocked = client.n_sent < len(client.request)
        if is_blocked != client.is_blocked:  # rarely: loopback takes a request at once
            client.is_blocked = is_blocked
            self._poll.modify(client.connection, _READ | _WRITE if is_blocked else _READ)

    def _read(self, client: _Client, now: float) -> None:
        assert client.connection
        try:
            piece = client.connection.recv(262144)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(client, e)
            return
        received = client.received = client.received + piece if client.received else piece
        end = _find_end(received)
        if end > len(received) or end < 0:
            if not piece:
                self._broken(client, None)
            return
        if received.startswith(b"200", 9):
            self.load.latencies_s.append(now - client.began)
        else:
            self.load.note(f"status {received[9:12].decode('ascii', 'replace')}")
        if self._keeps_bodies:
            self.load.bodies[client.index] = _body(received)
        client.is_fresh = False
        if b"onnection: close" in received[:400] or b"ONNECTION: CLOSE" in received[:400]:
            self._drop(client)
        self._next(client)

    def _broken(self, client: _Client, error: OSError | None) -> None:
        """A server may close a kept connection between two requests: then the request goes out once more."""
        was_kept, answered = not client.is_fresh, bool(client.received)
        self._drop(client)
        if was_kept and not answered:
            self._send(client)
            return
        self.load.note(errno.errorcode.get(error.errno or 0, str(error)) if error else "closed")
        self._later.append((time.perf_counter() + 0.05, client))

    def _drop(self, client: _Client) -> None:
        if client.connection:
            self._busy.pop(client.connection.fileno(), None)
            client.connection.close()
            client.connection = None

    def _sweep(self, now: float) -> None:
        for client in [c for c in self._busy.values() if now - c.began > self._timeout_s]:
            self.load.note("timeout")
            self._drop(client)
            self._next(client)
        ready = [client for when, client in self._later if when <= now]
        self._later = [(when, client) for when, client in self._later if when > now]
        for client in ready:
            self._next(client)


def _find_end(received: bytes) -> int:
    """Where the answer ends, beyond what was received where that is not all of it; -1 where it cannot be told yet."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return -1
    head = received[:head_end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        line_end = head.find(b"\r\n", at)
        return head_end + 4 + int(head[at + 15 : line_end if line_end > 0 else head_end])
    return len(received) if received.endswith(b"\r\n0\r\n\r\n") else -1


def _body(received: bytes) -> bytes:
    head, _, body = received.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        n = int(size, 16)
        found, body = found + body[:n], body[n + 2 :]
    return found

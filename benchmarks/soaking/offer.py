"""An open loop: requests leave when they are due, whether or not others were answered.  Clients do not wait for each
other, so a server that is too slow is offered more than it can take."""

import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from load.clients import _find_end

MAX_CONNECTIONS = 800


@dataclass(slots=True)
class Offered:
    """What came of it: seconds by status, and what went wrong by its kind."""

    n_sent: int = 0
    n_missed: int = 0  # were due while every connection waited for an answer
    duration_s: float = 0.0
    n_answered: int = 0  # with 200, within that time
    latencies_s: dict[str, list[float]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)  # of 200s with the index of their request

    def count(self, status: str) -> int:
        return len(self.latencies_s.get(status, ()))


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    index: int = 0
    began: float = 0.0
    received: bytes = b""


class _Offering:
    def __init__(self, port: int, requests: Sequence[bytes], keeps_bodies: bool) -> None:
        self._port, self._requests, self._keeps_bodies = port, requests, keeps_bodies
        self._poll = select.epoll()
        self.busy: dict[int, _Client] = {}
        self._idle: list[_Client] = []
        self.found = Offered()

    def send(self, now: float) -> None:
        """The next request, unless every connection is busy."""
        if not self._idle and len(self.busy) >= MAX_CONNECTIONS:
            self.found.n_missed += 1
            return
        client = self._idle.pop() if self._idle else self._connect()
        client.index, client.began, client.received = self.found.n_sent % len(self._requests), now, b""
        self.found.n_sent += 1
        self.busy[client.connection.fileno()] = client
        try:
            client.connection.sendall(self._requests[client.index])
        except OSError as e:
            self._fail(client, f"sending: {e!r}")

    def receive(self, timeout_s: float) -> None:
        for descriptor, _ in self._poll.poll(timeout_s):
            client = self.busy.get(descriptor)
            if client is not None:
                self._read(client)
            else:  # the server closes a connection that idles
                for idle in [c for c in self._idle if c.connection.fileno() == descriptor]:
                    self._idle.remove(idle)
                    idle.connection.close()

    def close(self) -> None:
        for client in [*self.busy.values(), *self._idle]:
            client.connection.close()
        self.found.faults["unanswered"] += len(self.busy)
        self._poll.close()

    def _connect(self) -> _Client:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(connection, select.EPOLLIN)
        return _Client(connection)

    def _read(self, client: _Client) -> None:
        try:
            piece = client.connection.recv(2**18)
        except OSError as e:
            self._fail(client, f"reading: {e!r}")
            return
        if not piece:
            self._fail(client, "closed")
            return
        client.received += piece
        end = _find_end(client.received)
        if end < 0 or end > len(client.received):
            return
        status = client.received[9:12].decode()
        self.found.latencies_s.setdefault(status, []).append(time.perf_counter() - client.began)
        if self._keeps_bodies and status == "200":
            self.found.bodies.append((client.index, client.received.partition(b"\r\n\r\n")[2]))
        del self.busy[client.connection.fileno()]
        if b"\r\nConnection: close\r\n" in client.received[:600]:
            client.connection.close()
        else:
            self._idle.append(client)

    def _fail(self, client: _Client, why: str) -> None:
        self.found.faults[why] += 1
        self.busy.pop(client.connection.fileno(), None)
        client.connection.close()


def offer(
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    keeps_bodies: bool = False,
    patience_s: float = 20,
) -> Offered:
    """Send `rate` requests a second, in turn, and wait `patience_s` for the last answers.

    The clock of a request starts when it is due, so a client that is late itself is not hidden.
    """
    offering = _Offering(port, requests, keeps_bodies)
    started = due = time.perf_counter()
    end = started + seconds
    try:
        while (now := time.perf_counter()) < end:
            while due <= now:
                offering.send(due)
                due += 1 / rate
            offering.receive(max(0.0, min(due, end) - time.perf_counter()))
        offering.found.duration_s = time.perf_counter() - started
        offering.found.n_answered = offering.found.count("200")
        while offering.busy and time.perf_counter() < end + patience_s:
            offering.receive(0.1)
    finally:
        offering.close()
    return offering.found

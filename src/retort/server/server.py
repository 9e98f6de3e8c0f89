"""An event loop reads requests and sends answers, threads run the application in between.

A request reaches a thread only when it is whole and a thread is free; otherwise it is refused at once, so there is no
queue but the batcher's, and slow or idle clients cost nothing but a socket.  Requests that only look (GET) have threads
of their own: probes answer at any load.
"""

import asyncio
import contextlib
import logging
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

import uvloop
from flask import Flask

from retort.api.access_log import UNMATCHED, AccessLog, choose_request_id
from retort.api.direct import PATH, Call, Direct
from retort.config import ServeSettings
from retort.engine.memory import trim_memory
from retort.engine.registry import Registry
from retort.server.connection import Connection, Fault, State
from retort.server.exchange import Address, Exchange, build_environ, format_error, format_response, run_application
from retort.server.threads import ThreadPool

TICK_S = 0.5
KEEP_ALIVE_S = 30.0
DRAIN_TICK_S = 0.02
LINGER_S = 2.0  # for who has got the last answer; and while stopping, for requests that are already on their way
MAX_KEPT_BYTES = 256 * 2**20  # of bodies that are not whole yet, all connections together
N_LOOKING_THREADS = 4
MAX_LOOKING = 256
LONG_BYTES = 64 * 1024
TRIM_EVERY_S = 2.0
MAX_ACCEPTED = 128  # at a time: however many come, those who are there are heard
MAX_AT_THE_DOOR = 1024
SPARE_FILES = 64  # besides connections

_DIRECT = PATH.encode()

log = logging.getLogger(__name__)


class Server:
    """One process that serves `app` on `listeners` until it is told to stop.

    `notify` is called every `TICK_S`: whoever does not hear it any more may take the process for stuck.
    """

    def __init__(
        self,
        app: Flask,
        registry: Registry,
        settings: ServeSettings,
        listeners: Sequence[socket.socket],
        notify: Callable[[], None],
    ) -> None:
        self._app, self._registry, self._settings = app, registry, settings
        self._listeners, self._notify = listeners, notify
        self._address: Address = listeners[0].getsockname()[:2]
        self._access_log: AccessLog = app.extensions["access_log"]
        self._direct: Direct | None = app.extensions.get("direct")
        self._endpoints = {rule.rule for rule in app.url_map.iter_rules() if not rule.arguments}
        self.max_body_bytes = settings.max_body_bytes
        self._max_connections = _raise_file_limit(settings.max_connections)
        self._connections: set[Connection] = set()
        max_requests = max(1, min(settings.max_requests, self._max_connections // 2))  # the others are for probes
        self._predicting = ThreadPool("predict", max_requests, max_requests)
        self._looking = ThreadPool("look", N_LOOKING_THREADS, MAX_LOOKING)
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references
        self._stopping_since = math.inf
        self._trim_at = math.inf  # the memory of long requests goes back to the system
        self._parent = os.getppid()

    def run(self) -> None:
        """Serve until SIGTERM, then answer what was accepted; other signals to stop end the process at once."""
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._loop.add_signal_handler(number, partial(self._stop, number))
        for number in (signal.SIGUSR1, signal.SIGWINCH, signal.SIGHUP):
            self._loop.add_signal_handler(number, lambda: None)
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._accept, listener)
        while not self._stopped.is_set():
            self._tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), TICK_S)
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            self._accept(listener, MAX_AT_THE_DOOR)  # who already waits
            listener.close()
        await self._drain()

    def _stop(self, number: int) -> None:
        if number != signal.SIGTERM:  # somebody is impatient
            os._exit(0)
        self._stopped.set()

    async def _drain(self) -> None:
        """Let every accepted request have its answer, within `graceful_timeout_s`."""
        self._stopping_since = time.monotonic()
        end = self._stopping_since + self._settings.graceful_timeout_s
        while (self._connections or self._tasks) and time.monotonic() < end:
            self._tick()
            await asyncio.sleep(DRAIN_TICK_S)
        for connection in list(self._connections):
            connection.abort()
        self._registry.close()

    def _tick(self) -> None:
        """Say that this process lives, and close what takes too long."""
        self._notify()
        if os.getppid() != self._parent:
            self._stopped.set()
        if (stuck_s := self._registry.stuck_s()) > self._settings.stall_timeout_s + 2 * TICK_S:
            log.error("A batch has been running for %.0f s; this process ends and another takes its place.", stuck_s)
            os._exit(1)
        now = time.monotonic()
        if now >= self._trim_at:
            self._trim_at = math.inf
            self._loop.run_in_executor(None, trim_memory)
        is_stopping = now >= self._stopping_since
        for connection in list(self._connections):
            connection.is_stopping = is_stopping
            self._check(connection, now)

    def _check(self, connection: Connection, now: float) -> None:
        age_s = now - connection.since
        if connection.state is State.READING and age_s > self._settings.read_timeout_s:
            connection.time_out()
        elif connection.state is State.LINGERING:
            if now - connection.heard > LINGER_S or age_s > self._settings.read_timeout_s:
                connection.abort()
        elif connection.state is State.IDLE and age_s > KEEP_ALIVE_S:
            connection.abort()  # also when it does not take its last answer
        elif connection.state is State.IDLE and min(age_s, now - self._stopping_since) > LINGER_S:
            connection.close()

    def _accept(self, listener: socket.socket, n_most: int = MAX_ACCEPTED) -> None:
        for _ in range(n_most):
            try:
                client, _ = listener.accept()
            except OSError:  # nobody is left, or no file descriptor
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._connect(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: Connection(self), client)

    # Connections call these.

    def opened(self, connection: Connection) -> None:
        """Called by the connection.  When there are too many, the one that has waited longest goes, idle ones first; it
        is the new one only where all others are being answered."""
        if len(self._connections) >= self._max_connections:
            waiting = [c for c in self._connections if c.state is not State.ANSWERING]
            idlest = min(waiting, key=lambda c: (c.state is not State.IDLE, c.since), default=connection)
            idlest.abort()
            self._connections.discard(idlest)
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """Called by the connection."""
        self._connections.discard(connection)

    def has_room_for(self, n_bytes: int) -> bool:
        """Called by the connection."""
        return n_bytes + sum(c.kept_bytes for c in self._connections) <= MAX_KEPT_BYTES

    def handle(self, connection: Connection, exchange: Exchange) -> None:
        """Called by the connection: give the request to a thread, or refuse it."""
        pool = self._looking if exchange.method in ("GET", "HEAD", "OPTIONS") else self._predicting
        if pool.admit():
            if not self._begin_direct(connection, exchange):
                pool.start(partial(self._run, connection, exchange, pool))
            return
        self._registry.metrics.refused("requests")
        fault = Fault(429, "Overloaded", "More requests are waiting than can be answered soon; try again later.")
        self._loop.call_soon(connection.respond, exchange, self._answer(fault, connection, exchange))

    def _begin_direct(self, connection: Connection, exchange: Exchange) -> bool:
        """Whether a request can do without a thread."""
        if self._direct is None or exchange.target != _DIRECT or exchange.method != "POST" or exchange.is_too_long:
            return False
        call = self._direct.begin(exchange.headers, bytes(exchange.body), exchange.received, connection.peer[0])
        if call is None:
            return False
        exchange.watch(call.cancel)
        timer = self._loop.call_later(max(0.0, call.deadline - time.perf_counter()), call.expire)
        finish = partial(self._finish_direct, connection, exchange, call, timer)
        call.on_done(lambda: self._call_in_loop(finish))
        return True

    def _finish_direct(
        self, connection: Connection, exchange: Exchange, call: Call, timer: asyncio.TimerHandle
    ) -> None:
        timer.cancel()
        answer = format_response(*call.finish(), connection.keeps(exchange))
        self._finish(connection, exchange, answer, self._predicting)

    def refuse(self, connection: Connection, fault: Fault) -> bytes:
        """Called by the connection."""
        return self._answer(fault, connection, None)

    def _answer(self, fault: Fault, connection: Connection, exchange: Exchange | None) -> bytes:
        request_id = choose_request_id(exchange.header(b"x-request-id") if exchange else "")
        self._access_log.write(
            fault.status,
            request_id,
            connection.peer[0],
            endpoint=exchange.path if exchange and exchange.path in self._endpoints else UNMATCHED,
            user_agent=exchange.header(b"user-agent") if exchange else "",
        )
        keep_alive = exchange is not None and connection.keeps(exchange)
        is_head = exchange is not None and exchange.method == "HEAD"
        return format_error(fault.status, fault.error_type, str(fault), request_id, keep_alive, is_head)

    def _run(self, connection: Connection, exchange: Exchange, pool: ThreadPool) -> None:
        """In a thread."""
        environ = build_environ(exchange, self._address, connection.peer)
        try:
            reply = run_application(self._app, environ)
            answer = format_response(*reply, connection.keeps(exchange), is_head=exchange.method == "HEAD")
        except Exception:
            log.exception("a request failed")
            fault = Fault(500, "InternalError", "Something went wrong here; the server's log says what.")
            answer = self._answer(fault, connection, exchange)
        self._call_in_loop(partial(self._finish, connection, exchange, answer, pool))

    def _call_in_loop(self, call: Callable[[], None]) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and every connection with it
            self._loop.call_soon_threadsafe(call)

    def _finish(self, connection: Connection, exchange: Exchange, answer: bytes, pool: ThreadPool) -> None:
        pool.done()
        if len(exchange.body) + len(answer) > LONG_BYTES:
            self._trim_at = min(self._trim_at, time.monotonic() + TRIM_EVERY_S)
        connection.respond(exchange, answer)


def _raise_file_limit(max_connections: int) -> int:
    """As many connections as file descriptors allow, at most `max_connections`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + SPARE_FILES
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(max_connections, soft - SPARE_FILES))

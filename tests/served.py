"""`retort serve` as a process, for tests that ask it."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Answer:
    """What a client got; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connection that sends bytes and reads answers."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        """All of it, or as much as the server takes before it goes."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.sendall(data)

    def end(self) -> None:
        """Send no more."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def read_answer(self, is_head: bool = False) -> Answer:
        """The next one.  Raises EOFError."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        n_bytes = 0 if is_head else int(headers.get("content-length", 0))
        while len(self._received) < n_bytes:
            self._receive()
        body, self._received = self._received[:n_bytes], self._received[n_bytes:]
        return Answer(int(first.split()[1]), headers, body)

    def read_rest(self) -> bytes:
        """All that comes until the server closes."""
        with contextlib.suppress(EOFError):
            while True:
                self._receive()
        return self._received

    def _receive(self) -> None:
        try:
            piece = self.connection.recv(2**18)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise EOFError(f"the server closed after {self._received[:200]!r}")
        self._received += piece


COMMAND = [sys.executable, "-m", "retort", "serve", "--n-threads", "1", "--port"]


class Server:
    """A running `retort serve`.  With `log` its lines go to that file: a pipe that nobody reads would stop it."""

    def __init__(self, models_dir: Path, *options: str, log: Path | None = None, command: list[str] = COMMAND) -> None:
        self.log = log
        with contextlib.ExitStack() as opened:
            self.process = subprocess.Popen(
                [*command, "0", "--models-dir", str(models_dir), *options],
                stdout=subprocess.PIPE if log is None else opened.enter_context(log.open("wb")),
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        self.port = 0
        self.said: list[str] = []  # before it was ready
        self.wait_until_ready()

    def wait_until_ready(self) -> str:
        """The line that says what is served and where."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("Serving "):
                self.port = int(line.rsplit(":", 1)[1])
                return line
            self.said.append(line)
        raise AssertionError("".join(self.said))

    @property
    def worker(self) -> psutil.Process:
        """The process that serves."""
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def lines(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        assert self.log
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def call(self) -> "Wire":
        """A connection, closed at the end of a `with`."""
        return Wire(self.connect())

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Each sample by name and labels."""
        with self.call() as wire:
            wire.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            text = wire.read_answer().body.decode()
        families = text_string_to_metric_families(text)
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        encoded = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, encoded, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def stop(self, signum: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, the lines of stdout as JSON, the rest of stderr."""
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=60)
        lines = [json.loads(line) for line in out.splitlines()] if self.log is None else self.lines()
        return self.process.returncode, lines, err


@contextlib.contextmanager
def serving(models_dir: Path, *options: str, log: Path | None = None, command: list[str] = COMMAND) -> Iterator[Server]:
    server = Server(models_dir, *options, log=log, command=command)
    try:
        yield server
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(server.process.pid).children():
                process.kill()
        server.process.kill()
        server.process.communicate()


def receive(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received

"""Clients that idle, dawdle, do not read or leave in hundreds: everybody else is answered."""

import contextlib
import json
import select
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hostile_requests import GOOD, get, post

from served import Server, Wire, serving

SMALL = ("--max-connections", "20", "--max-requests", "40", "--read-timeout-s", "0.5")
LOOK = get(b"/readyz")
BEGUN = {
    "say nothing": b"",
    "stop in a line": GOOD[:30],
    "stop in a header": GOOD[: GOOD.index(b"Host") + 2],
    "stop in a body": GOOD[:-3],
    "stop in a chunk": b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "stop behind an answer": GOOD + GOOD[:-3],
}
LONG = post("/predict", json.dumps({"x": ["java"] * 3000, "top_k": 3}).encode())  # its answer is too long for a socket


@pytest.fixture(scope="module")
def server(served_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(served_dir, *SMALL, log=tmp_path_factory.mktemp("log") / "log.jsonl") as server:
        yield server


def ask(server: Server, request: bytes = GOOD) -> int:
    with server.call() as wire:
        wire.send(request)
        return wire.read_answer().status


def ask_until_admitted(server: Server) -> None:
    """A prediction, as soon as there are not too many others."""
    while (status := ask(server)) != 200:
        assert status == 429


def narrow(server: Server) -> Wire:
    """A client whose socket takes little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    return Wire(connection)


@pytest.mark.parametrize("begun", BEGUN)
def test_hundreds_of_clients_that_do_nothing_more_keep_nobody_out(server: Server, begun: str) -> None:
    with contextlib.ExitStack() as opened:
        for n in range(300):
            opened.enter_context(server.call()).send(BEGUN[begun])
            if n % 30 == 0:
                assert ask(server, LOOK) == 200
                ask_until_admitted(server)
        assert psutil.Process(server.worker.pid).num_fds() < 100
    assert ask(server) == 200


def test_clients_that_drip_keep_nobody_out_and_are_told_when_their_time_is_over(server: Server) -> None:
    with contextlib.ExitStack() as opened:
        wires = [opened.enter_context(server.call()) for _ in range(10)]
        for byte in GOOD.replace(b"Length: 15", b"Length: 9999"):
            for wire in wires:
                wire.send(bytes([byte]))
        assert (ask(server), ask(server, LOOK)) == (200, 200)
        for wire in wires:
            while not select.select([wire.connection], [], [], 0.05)[0]:  # a byte now and then does not help
                wire.send(b" ")
            answer = wire.read_answer()
            assert (answer.status, answer.json()["error_type"]) == (408, "TooSlow")
            wire.end()
            assert wire.read_rest() == b""
    assert Counter(line["status_code"] for line in server.lines())[408] >= 10


@pytest.mark.parametrize("last", [b"keep-alive", b"close"])
def test_clients_that_never_read_their_answer_keep_nobody_out(server: Server, last: bytes) -> None:
    request = LONG.replace(b"Host: a", b"Host: a\r\nConnection: " + last)
    with contextlib.ExitStack() as opened:
        for _ in range(60):
            opened.enter_context(narrow(server)).send(request)
            assert ask(server, LOOK) == 200
        ask_until_admitted(server)
    ask_until_admitted(server)


def test_a_client_that_reads_late_gets_all_its_answers(server: Server) -> None:
    with narrow(server) as wire, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(wire.send, LONG * 12)
        for _ in range(12):
            assert len(wire.read_answer().json()["predictions"]) == 3000
        sending.result()


def test_clients_that_leave_at_any_moment_harm_nobody(server: Server) -> None:
    for end in range(0, len(GOOD) + 1, 3):
        with server.call() as wire:
            wire.send(GOOD[:end])
            if end % 2:
                wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # with a reset
    assert ask(server) == 200
    assert psutil.Process(server.worker.pid).num_fds() < 100


def test_100_continue_is_said_before_the_body_comes(server: Server) -> None:
    head, _, body = GOOD.partition(b"\r\n\r\n")
    with server.call() as wire:
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert wire.read_answer().status == 100
        wire.send(body)
        assert wire.read_answer().status == 200
        wire.send(head.replace(b"Length: 15", b"Length: 99999999") + b"\r\nExpect: 100-continue\r\n\r\n")
        assert wire.read_answer().status == 413  # and not 100: the body may stay where it is

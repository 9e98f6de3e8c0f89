"""A served model that is at work for as long as a test wants: who is answered meanwhile, refused, or given up."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from artifacts import VOCABULARY
from served import Answer, Server, Wire, serving

HELD = "sql"  # no golden text has it
COMMAND = [sys.executable, str(Path(__file__).with_name("held_serve.py")), "serve", "--n-threads", "1", "--port"]


class Holding:
    """A server, and the pipe that its model waits at."""

    def __init__(self, server: Server, pipe: Path) -> None:
        self.server, self.pipe = server, pipe
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read_lines, daemon=True).start()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Waits until the model is at a text of `HELD`; at the end it goes on."""
        with self.pipe.open("w"):
            yield

    def read_line(self) -> dict[str, Any]:
        """The next line of the log, waited for."""
        return dict(json.loads(self._lines.get(timeout=60)))

    def _read_lines(self) -> None:
        assert self.server.process.stdout
        for line in self.server.process.stdout:
            self._lines.put(line)

    def ask(self, path: str, texts: list[str] | None = None, **headers: str) -> Answer:
        with self.server.call() as wire:
            send(wire, path, texts, **headers)
            return wire.read_answer()

    def count(self, sample: str, **labels: str) -> float:
        return self.server.metrics()[sample, frozenset(labels.items())]


def send(wire: Wire, path: str, texts: list[str] | None = None, **headers: str) -> None:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    if texts is None:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        return
    body = json.dumps({"x": texts})
    lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    wire.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}".encode())


@pytest.fixture
def holding(request: pytest.FixtureRequest, served_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
            ) -> Iterator[Holding]:  # fmt: skip
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("HOLD_AT", str(pipe))
    monkeypatch.setenv("HOLD_ID", str(VOCABULARY.index(HELD)))
    with serving(served_dir, *getattr(request, "param", ()), command=COMMAND) as server:
        yield Holding(server, pipe)


PATHS = pytest.mark.parametrize("path", ["/predict", "/models/default/predict"])  # by the loop itself, by a thread


@pytest.mark.parametrize("holding", [("--max-requests", "1")], indirect=True)
@PATHS
def test_while_predictions_fill_the_server_probes_answer_and_others_are_refused(holding: Holding, path: str) -> None:
    with holding.server.call() as first:
        send(first, path, [HELD] + ["java"] * 99)
        with holding.at_work():
            for probe in ("/livez", "/readyz", "/metrics", "/health_check", "/models", "/v2/health/ready"):
                assert holding.ask(probe).status == 200
            for _ in range(20):
                refused = holding.ask(path, ["java"])
                assert (refused.status, refused.json()["error_type"]) == (429, "Overloaded")
                assert int(refused.headers["retry-after"]) >= 1
            with holding.server.call() as kept:
                for _ in range(20):  # on one connection
                    send(kept, path, ["java"])
                    assert kept.read_answer().status == 429
            assert holding.count("retort_refused_total", reason="requests") == 40
        assert len(first.read_answer().json()["predictions"]) == 100
    assert holding.ask(path, ["java"]).status == 200


@pytest.mark.parametrize("holding", [("--max-requests", "1")], indirect=True)
def test_hundreds_of_pipelined_requests_are_refused_one_after_the_other(holding: Holding) -> None:
    with holding.server.call() as first, holding.server.call() as second:
        send(first, "/predict", [HELD])
        with holding.at_work():
            send(second, "/livez")
            body = '{"x": "a"}'
            one = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            second.send(one.encode() * 250)
            assert [second.read_answer().status for _ in range(251)] == [200, *[429] * 250]
        assert first.read_answer().status == 200


@pytest.mark.parametrize("holding", [("--max-waiting-tokens", "40")], indirect=True)
def test_when_too_many_tokens_wait_requests_are_refused(holding: Holding) -> None:
    with holding.server.call() as first, contextlib.ExitStack() as opened:
        send(first, "/predict", [HELD])
        with holding.at_work():
            waiting = [opened.enter_context(holding.server.call()) for _ in range(30)]
            for wire in waiting:
                send(wire, "/predict", ["java"])
                assert holding.ask("/livez").status == 200  # so it was read
            assert holding.count("retort_waiting_requests") == 40 // 3
        answers = [wire.read_answer() for wire in waiting]
    assert [answer.status for answer in answers] == [200] * 13 + [429] * 17
    assert all("retry-after" in answer.headers for answer in answers[13:])


@PATHS
@pytest.mark.parametrize("n_texts", [100, 5000])
def test_of_a_request_whose_time_is_over_nothing_more_is_computed(holding: Holding, path: str, n_texts: int) -> None:
    before = holding.count("retort_batch_texts_count")
    for n, timeout_ms in enumerate((1, 5, 20, 50), start=1):
        with holding.server.call() as wire:
            send(wire, path, [HELD] + ["how to sort"] * n_texts, X_Request_Timeout_Ms=str(timeout_ms))
            answer = wire.read_answer()  # although the model never comes to an end
            assert (answer.status, answer.json()["error_type"]) == (504, "DeadlinePassed")
        assert holding.count("retort_dropped_total", reason="DeadlinePassed") == n
        assert holding.count("retort_waiting_tokens") == 0
    with contextlib.suppress(OSError):  # nobody waits there if the time was always over before the model began
        os.close(os.open(holding.pipe, os.O_WRONLY | os.O_NONBLOCK))
    assert holding.ask(path, ["java"]).status == 200
    assert holding.count("retort_batch_texts_count") - before <= 2


@PATHS
def test_who_leaves_is_dropped_and_logged(holding: Holding, path: str) -> None:
    before = holding.count("retort_batch_texts_count")
    assert holding.read_line()["endpoint"] == "/metrics"
    with holding.server.call() as wire:
        send(wire, path, [HELD] + ["how to sort"] * 5000, X_Request_Id="gone")
        with holding.at_work():
            wire.connection.close()
            line = holding.read_line()
    assert (line["status_code"], line["request_id"], line["response"]) == (499, "gone", None)
    assert holding.ask(path, ["java"]).status == 200
    assert holding.count("retort_dropped_total", reason="ClientLeft") == 1
    assert holding.count("retort_batch_texts_count") - before == 2  # the one it was at, and java's


@PATHS
def test_who_closes_its_half_of_the_connection_has_left(holding: Holding, path: str) -> None:
    with holding.server.call() as wire:
        send(wire, path, [HELD])
        with holding.at_work():
            wire.end()
            assert wire.read_rest() == b""
            assert holding.read_line()["status_code"] == 499
    assert holding.ask(path, ["java"]).status == 200


@PATHS
def test_sigterm_waits_for_what_the_model_is_at(holding: Holding, path: str) -> None:
    with holding.server.call() as wire:
        send(wire, path, [HELD] + ["java"] * 99)
        with holding.at_work():
            holding.server.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(OSError):
                while True:  # until the door is closed
                    holding.server.connect().close()
        answer = wire.read_answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert holding.server.process.wait(60) == 0


@pytest.mark.parametrize("holding", [("--stall-timeout-s", "0.5")], indirect=True)
def test_a_stuck_model_fails_the_liveness_probe_and_is_replaced(holding: Holding) -> None:
    worker = holding.server.worker
    with holding.server.call() as wire:
        send(wire, "/predict", [HELD])
        with holding.at_work():
            while (probe := holding.ask("/livez")).status == 200:
                pass
            assert probe.status == 503
            assert wire.read_rest() == b""  # the process ends
            said = len(holding.server.said)
            holding.server.wait_until_ready()
    assert holding.server.worker.pid != worker.pid
    said_since = "".join(holding.server.said[said:])
    assert "exited with code 1" in said_since
    assert holding.ask("/predict", ["java"]).status == 200

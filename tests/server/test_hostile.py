"""A served model and whatever clients may send it: each gets an answer, a line in the log, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_requests import GOOD, REQUESTS, Hostile

from served import Answer, Server, serving

LIMITS = ("--max-body-bytes", "200000", "--max-texts-per-request", "3000", "--max-tokens-per-request", "20000")
MAX_GROWTH = 10 * 2**20
SHORT = 20_000  # bytes; the heap keeps what longer ones took for a while, so they would hide what is lost
KEYS = {"endpoint", "response", "status_code", "response_time", "user_ip", "user_agent", "request_id", "timestamp",
        "n_inputs", "n_tokens", "trace_id"}  # fmt: skip


@pytest.fixture(scope="module")
def server(served_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(served_dir, *LIMITS, log=tmp_path_factory.mktemp("log") / "log.jsonl") as server:
        yield server


def ask(server: Server, hostile: Hostile) -> list[Answer]:
    """The answers; that nothing comes after them is seen when the client ends."""
    with server.call() as wire:
        wire.send(hostile.sent)
        if hostile.ends:
            wire.end()
        answers = [wire.read_answer(is_head=hostile.sent.startswith(b"HEAD")) for _ in hostile.statuses]
        wire.end()
        assert wire.read_rest() == b""
    return answers


def test_every_hostile_request_is_answered_once_and_logged_once(server: Server) -> None:
    assert server.log
    assert len(REQUESTS) > 2000
    faults: list[tuple[str, str]] = []
    log = server.log.open(encoding="utf-8")
    for name, hostile in REQUESTS.items():
        try:
            answers = ask(server, hostile)
        except (EOFError, AssertionError, TimeoutError) as e:
            faults.append((name, repr(e)[:300]))
            continue
        for answer, allowed in zip(answers, hostile.statuses, strict=True):
            if answer.status not in allowed:
                faults.append((name, f"{answer.status} {answer.body[:200]!r}, expected {allowed}"))
            elif answer.status >= 400 and answer.body:
                envelope = answer.json()
                assert list(envelope) == ["error", "error_type", "request_id"], name
                assert envelope["request_id"] == answer.headers["x-request-id"], name
        lines = [json.loads(line) for line in log.read().splitlines()]
        if [line["status_code"] for line in lines] != [answer.status for answer in answers]:
            faults.append((name, f"logged {lines}"))
        if any(line.keys() != KEYS for line in lines):
            faults.append((name, f"other keys {lines}"))
    log.close()
    assert faults == []


def test_no_line_can_be_forged(server: Server) -> None:
    assert server.log
    text = server.log.read_text(encoding="utf-8")
    assert text.isascii()
    for line in map(json.loads, text.splitlines()):
        assert line["user_ip"] == "127.0.0.1"
        assert not line["endpoint"].startswith("/admin")
        assert set(line["request_id"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_hostile_requests_over_and_over_take_no_memory_and_leave_it_well(server: Server) -> None:
    short = [hostile for hostile in REQUESTS.values() if len(hostile.sent) < SHORT]
    for hostile in short * 2:
        ask(server, hostile)
    before = server.worker.memory_full_info().pss
    for hostile in short * 3:
        ask(server, hostile)
    assert server.worker.memory_full_info().pss - before < MAX_GROWTH
    with server.call() as wire:
        wire.send(GOOD)
        assert wire.read_answer().status == 200

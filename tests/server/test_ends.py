"""A server that is stopped, or killed, while clients keep asking over connections that they keep."""

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile_requests import GOOD, GOOD_BODY, REQUESTS, get, post
from test_hostile import LIMITS
from test_hostile import ask as ask_hostile

from served import Server, serving


def ask_until_told_to_stop(server: Server, request: bytes, n_at_once: int) -> int:
    """How many answers came; each request that was sent on a connection that somebody took must get one."""
    n_answers = 0
    while True:
        try:
            wire = server.call()
        except ConnectionRefusedError:
            return n_answers
        with wire:
            is_kept, is_fresh = True, True
            while is_kept:
                wire.send(request * n_at_once)
                try:
                    answers = [wire.read_answer() for _ in range(n_at_once)]
                except EOFError:
                    if is_fresh and not is_open_to(server):
                        return n_answers  # the door was closed before anybody took the connection
                    raise
                assert {answer.status for answer in answers} == {200}
                n_answers += n_at_once
                is_kept, is_fresh = answers[-1].headers["connection"] == "keep-alive", False


def is_open_to(server: Server) -> bool:
    try:
        server.connect().close()
    except OSError:
        return False
    return True


BY_THREADS = post("/models/default/predict", GOOD_BODY)


@pytest.mark.parametrize(("request_", "n_at_once"), [(GOOD, 1), (BY_THREADS, 1), (GOOD, 5)])
def test_sigterm_loses_no_answer_of_clients_that_keep_their_connections(
    served_dir: Path, tmp_path: Path, request_: bytes, n_at_once: int
) -> None:
    log = tmp_path / "log.jsonl"
    with ThreadPoolExecutor(4) as pool, serving(served_dir, log=log) as server:
        asking = [pool.submit(ask_until_told_to_stop, server, request_, n_at_once) for _ in range(4)]
        while log.read_text().count("\n") < 100:
            pass
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert sum(future.result() for future in asking) == len(server.lines())


def test_who_keeps_a_connection_hears_that_it_ends(served_dir: Path) -> None:
    with serving(served_dir) as server, server.call() as wire:
        wire.send(GOOD)
        assert wire.read_answer().headers["connection"] == "keep-alive"
        server.process.send_signal(signal.SIGTERM)
        while is_open_to(server):
            pass
        wire.send(GOOD)
        answer = wire.read_answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.read_rest() == b""
        assert server.process.wait(60) == 0


def test_a_killed_worker_comes_back_and_who_waits_at_the_door_is_answered(served_dir: Path, tmp_path: Path) -> None:
    with serving(served_dir, log=tmp_path / "log.jsonl") as server, server.call() as wire:
        wire.send(GOOD)
        assert wire.read_answer().status == 200
        server.worker.kill()
        assert wire.read_rest() == b""
        with server.call() as waiting:
            waiting.send(get(b"/livez"))
            assert waiting.read_answer().status == 200
        server.wait_until_ready()
        with server.call() as again:
            again.send(GOOD)
            assert again.read_answer().status == 200


def test_counters_are_what_clients_saw(served_dir: Path, tmp_path: Path) -> None:
    seen: Counter[int] = Counter()
    with ThreadPoolExecutor(8) as pool, serving(served_dir, *LIMITS, log=tmp_path / "log.jsonl") as server:
        for answers in pool.map(lambda hostile: ask_hostile(server, hostile), REQUESTS.values()):
            seen.update(answer.status for answer in answers)
        counted: Counter[int] = Counter()
        for (name, labels), value in server.metrics().items():
            if name == "retort_requests_total":
                counted[int(dict(labels)["code"])] += int(value)
        assert counted == seen
        assert Counter(line["status_code"] for line in server.lines()) == seen + Counter([200])  # of /metrics

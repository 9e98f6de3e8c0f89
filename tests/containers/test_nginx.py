"""deploy/nginx.conf in Debian's nginx, before two servers that come and go while clients ask."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from asking import asking
from engines import ROOT, ask, free_port, is_ready, wait_until

from served import Server

pytestmark = pytest.mark.containers


class Replica:
    """One of the servers behind nginx; whoever takes its place has its port."""

    def __init__(self, models_dir: Path, log: Path) -> None:
        self.models_dir, self.port, self.n_started = models_dir, free_port(), 0
        self.log = log
        self.start()

    def start(self) -> None:
        """Until it is ready."""
        self.n_started += 1
        log = self.log.with_suffix(f".{self.n_started}")
        self.server = Server(self.models_dir, "--port", str(self.port), log=log)

    @property
    def n_answered(self) -> int:
        """Predictions since it was started; what it refused while it loaded its model is none."""
        lines = self.server.lines()
        return len([line for line in lines if line["endpoint"] == "/predict" and line["status_code"] == 200])

    def kill(self) -> None:
        """Without a warning, the process that serves and the one that would replace it."""
        if self.server.process.poll() is None:
            parent = psutil.Process(self.server.process.pid)
            for process in [parent, *parent.children()]:
                process.kill()
            self.server.process.communicate()


@pytest.fixture
def replicas(served_dir: Path, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    with contextlib.ExitStack() as running:
        found = []
        for name in ("one", "two"):
            found.append(Replica(served_dir, tmp_path / name))
            running.callback(found[-1].kill)
        yield found[0], found[1]


def start_nginx(tmp_path: Path, ports: tuple[int, int]) -> tuple[subprocess.Popen[bytes], int]:
    """nginx with the project's configuration, but for addresses and folders; the port where it listens."""
    assert shutil.which("nginx"), "expected nginx, found none; install it: apt-get install nginx-light"
    listen = free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for old, new in [
        ("api_1:5000", f"127.0.0.1:{ports[0]}"),
        ("api_2:5000", f"127.0.0.1:{ports[1]}"),
        ("listen 8080", f"listen 127.0.0.1:{listen}"),
        (" /tmp/", f" {tmp_path}/"),
    ]:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "nginx.conf").write_text(text, encoding="utf-8")
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-g", directives]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with (tmp_path / "nginx.log").open("wb") as log:
        return subprocess.Popen(command, stderr=log), listen


@pytest.fixture
def front(replicas: tuple[Replica, Replica], tmp_path: Path) -> Iterator[int]:
    """The port of an nginx before both."""
    process, port = start_nginx(tmp_path, (replicas[0].port, replicas[1].port))
    wait_until(lambda: is_ready(port), "nginx answers")
    yield port
    process.terminate()
    process.wait(timeout=60)


def test_replicas_that_are_rolled_one_after_the_other_lose_no_request(
    replicas: tuple[Replica, Replica], front: int
) -> None:
    with asking(front) as asked:
        asked.wait_for(100)
        for replica in replicas:
            code, *_ = replica.server.stop()
            assert code == 0
            asked.wait_for(20)  # of the other one
            replica.start()
            wait_until(lambda r=replica: r.n_answered > 0, "nginx asks it again")  # type: ignore[misc]
    assert asked.faults == []
    assert asked.n_refused == 0


def test_a_replica_that_is_killed_loses_no_request(replicas: tuple[Replica, Replica], front: int) -> None:
    with asking(front) as asked:
        asked.wait_for(50)
        replicas[0].kill()
        asked.wait_for(50)
    assert asked.faults == []
    assert asked.n_refused == 0


def test_without_a_replica_clients_are_told_so_in_the_usual_shape(
    replicas: tuple[Replica, Replica], front: int
) -> None:
    for replica in replicas:
        replica.kill()
    status, answer = ask(front, "POST", "/predict", {"x": ["sort a list"]})
    assert status == 503
    assert set(answer) == {"error", "error_type", "request_id"}
    assert ask(front, "GET", "/readyz")[0] == 503


def test_what_retort_refuses_comes_through_as_it_was_said(replicas: tuple[Replica, Replica], front: int) -> None:
    status, answer = ask(front, "POST", "/predict", {"x": ["a" * (5 * 2**20)]})
    assert (status, answer["error_type"]) == (413, "BodyTooLong")
    assert ask(front, "POST", "/predict", {"x": 1})[0] == 422

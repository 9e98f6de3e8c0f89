"""The container engine of this machine, and containers of the images under test."""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# What every orchestrator that means it asks for: nothing to write to but /tmp, nothing to gain.
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges")  # noqa: S108
PATIENCE_S = 120


def environment(**more: str) -> dict[str, str]:
    """Variables as a user's shell has them: nothing of the make and the Python that run these tests is left."""
    ours = {"RUNNER", "ARGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHONPATH", "PYTHON", "CI", "NAME"}
    return {name: value for name, value in os.environ.items() if name not in ours} | more


def find_engine() -> str:
    """`docker` or `podman`, as `scripts/run` chooses.  Raises LookupError, which says how to get one."""
    which = subprocess.run([ROOT / "scripts" / "run", "--which"], env=environment(), capture_output=True, text=True)
    if (found := which.stdout.strip()) in ("docker", "podman"):
        return found
    raise LookupError(
        which.stderr.strip()
        or "The container tests need docker or podman, and neither answers `info`.  Install one, such as with: "
        "apt-get install podman"
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look again and again.  Raises AssertionError: it did not come to be."""
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, f"waited {patience_s:g} s in vain until {what}"
        time.sleep(0.05)


def ask(port: int, method: str = "GET", path: str = "/readyz", body: Any = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one answer, over a connection of its own.  Raises OSError: nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    """Whether a server with a model answers at `port`."""
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


class Container:
    """A container of the api image that was started, on a port of its own."""

    def __init__(self, engine: str, image: str, *options: str, command: tuple[str, ...] = ()) -> None:
        self.engine, self.port = engine, free_port()
        published = f"127.0.0.1:{self.port}:{self.port}"
        started = subprocess.run(
            [engine, "run", "--detach", "--publish", published, "--env", f"RETORT_PORT={self.port}",
             "--env", "RETORT_N_THREADS=1", *options, image, *command],
            capture_output=True, text=True,
        )  # fmt: skip
        assert started.returncode == 0, started.stderr
        self.name = started.stdout.strip()

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([self.engine, "rm", "--force", self.name], check=True, capture_output=True)

    def run(self, *command: str) -> str:
        """What the engine's `command` prints of this container; the name is put behind it."""
        return subprocess.run([self.engine, *command, self.name], check=True, capture_output=True, text=True).stdout

    def execute(self, *command: str) -> str:
        """What `command` prints inside."""
        done = subprocess.run([self.engine, "exec", self.name, *command], check=True, capture_output=True, text=True)
        return done.stdout

    @property
    def is_running(self) -> bool:
        return self.run("inspect", "--format", "{{.State.Running}}").strip() == "true"

    def wait_until_ready(self) -> "Container":
        """Raises AssertionError with what it said: it ended, or has no model after two minutes."""

        def ended_or_ready() -> bool:
            return is_ready(self.port) or not self.is_running

        wait_until(ended_or_ready, "the server is ready")
        assert self.is_running, self.said()
        return self

    def wait(self) -> int:
        """Its exit code, once it ended."""
        return int(self.run("wait"))

    def said(self) -> str:
        """Its stdout and stderr."""
        done = subprocess.run([self.engine, "logs", self.name], check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

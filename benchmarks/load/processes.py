"""A server is a tree of processes: started, asked until it answers, weighed, and ended with all it started."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from load.clients import ask_all

_FREE_PORTS = range(21000, 31000, 10)  # below those that the system gives to clients; a server may take two more


class NoAnswer(Exception):
    """The server ended, or did not answer in time; the message holds the end of its log."""


class Running:
    """A server that answers."""

    def __init__(self, command: Sequence[str], port: int, log: Path, first: bytes, patience_s: float) -> None:
        """Start it and send `first` until it is answered; `first_answer_s` is how long that took.

        Raises NoAnswer.
        """
        self.port, self._log = port, log
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        started = time.perf_counter()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
            )
        self._seen: dict[int, psutil.Process] = {}
        try:
            while not ask_all(port, [first], 1, limit_s=patience_s).latencies_s:
                if self._process.poll() is not None or time.perf_counter() - started > patience_s:
                    raise NoAnswer(f"no answer after {time.perf_counter() - started:.0f} s\n{self.read_log()}")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.first_answer_s = time.perf_counter() - started

    def check(self) -> None:
        """Raises NoAnswer: it has ended."""
        if self._process.poll() is not None:
            raise NoAnswer(f"it ended with {self._process.returncode}\n{self.read_log()}")

    def members(self) -> list[psutil.Process]:
        """The process and all that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            for process in [root, *root.children(recursive=True)]:
                self._seen.setdefault(process.pid, process)
        return [process for process in self._seen.values() if process.is_running()]

    def cpu_s(self) -> float:
        """Used so far by those that still run."""
        total = 0.0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory_mib(self) -> float:
        """Proportional set size: pages that processes share are counted once."""
        total = 0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 2**20

    def read_log(self, n_characters: int = 2000) -> str:
        return self._log.read_text(errors="replace")[-n_characters:]

    def stop(self) -> None:
        """Ask it to end, then make it."""
        members = self.members()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        psutil.wait_procs(members, timeout=5)
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()


def find_port() -> int:
    """A free one, with free ones behind it."""
    for port in _FREE_PORTS:
        with contextlib.ExitStack() as stack:
            try:
                for offset in range(3):
                    stack.enter_context(socket.create_server(("127.0.0.1", port + offset), reuse_port=False))
            except OSError:
                continue
            return port
    raise OSError("No free port.")

"""What `retort serve` runs: gunicorn with one worker of many threads, which loads the model after the fork.

The worker listens at once: until its model has given its golden logits it lives (`/health_check`) and is not ready
(`/readyz`, `/predict`: 503).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from retort.api.keys import load_keys
from retort.artifact import load_pointed
from retort.config import ServeSettings
from retort.errors import RetortError

if TYPE_CHECKING:
    from retort.engine.registry import Registry

HEARTBEAT_TIMEOUT_S = 60  # of the worker's event loop, which never waits; requests may take longer
BACKLOG = 1024


def serve(settings: ServeSettings) -> int:
    """Serve until a signal ends it; returns the exit code.

    Raises BadArtifact: the pointed model is missing or damaged; RetortError: the address cannot be listened on;
    BadUsage: a file of keys cannot be read.
    """
    load_pointed(settings.models_dir)  # damage is said before anything starts; so the first worker hashes nothing
    keys = load_keys(settings)
    listener = _listen(settings.host, settings.port)
    if not any(keys) and not ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback:
        _say("Whoever reaches this address may predict: it is not this machine's alone, and no API keys are set.")
    try:
        _Server(settings, listener).run()
    except SystemExit as e:
        return 1 if e.code else 0
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Bound here rather than by gunicorn, which tries five times and says so ten times."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as e:
        why = e.strerror if isinstance(e, socket.gaierror) else os.strerror(e.errno or 0)
        raise RetortError(f"Cannot listen on {host}, port {port}: {why}. Choose another --port or --host.") from e


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told what to do by `ServeSettings` alone: it reads no file and no variable of its own."""

    def __init__(self, settings: ServeSettings, listener: socket.socket) -> None:
        self.settings, self._address = settings, listener.getsockname()[:2]
        self._file_descriptor = listener.detach()  # gunicorn closes it
        self._is_verified = True  # by `serve`, a moment ago
        self._watcher: Any = None
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        wanted: dict[str, Any] = {
            "bind": f"fd://{self._file_descriptor}",
            "workers": 1,
            "worker_class": _Worker,
            "timeout": HEARTBEAT_TIMEOUT_S,
            "graceful_timeout": self.settings.graceful_timeout_s,
            "loglevel": "warning",
            "proc_name": "retort",
            "control_socket_disable": True,
            "child_exit": self._expect_change,
            "worker_exit": self._stop_watching,
        }
        if os.access("/dev/shm", os.W_OK):  # noqa: S108  (a heartbeat file on a disk can block the worker)
            wanted["worker_tmp_dir"] = "/dev/shm"  # noqa: S108
        for name, value in wanted.items():
            if name in self.cfg.settings:  # versions before 25 have no control socket
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Called by gunicorn in the worker: the application, whose model is still on its way."""
        from retort.app import create_app  # here, so that the master holds neither Flask nor the runtime
        from retort.engine.processors import count_processors
        from retort.engine.registry import open_registry
        from retort.engine.watcher import Watcher

        settings = self.settings
        n_threads = settings.n_threads or count_processors()
        os.environ.setdefault("RAYON_NUM_THREADS", str(n_threads))  # the tokenizer's
        _log_to_stderr()
        self.registry: Registry = open_registry(settings)
        self._watcher = Watcher(self.registry)
        threading.Thread(target=self._load_model, args=[self.registry], daemon=True).start()
        return create_app(settings, self.registry)

    def _expect_change(self, arbiter: Arbiter, worker: Worker) -> None:
        """Called by gunicorn when a worker is gone: its successor comes later, and the files may not be the same."""
        self._is_verified = False

    def _load_model(self, registry: Registry) -> None:
        """A worker without a model ends the server: started again, it would fail again."""
        try:
            version = registry.load(verify=not self._is_verified).artifact.version
        except Exception as e:
            _say(f"retort serve: {e}" if isinstance(e, RetortError) else f"retort serve: cannot load the model: {e!r}")
            os._exit(Arbiter.WORKER_BOOT_ERROR)
        host, port = self._address
        _say(f"Serving {version} on http://{f'[{host}]' if ':' in host else host}:{port}")
        self._watcher.start()

    def _stop_watching(self, arbiter: Arbiter, worker: Worker) -> None:
        """Called by gunicorn in the worker, at its end: a process must not end while the runtime builds a model."""
        if self._watcher is not None:
            self._watcher.stop()


class _Worker(Worker):  # type: ignore[misc]
    """gunicorn's part of the process that serves: it is made in the parent, and lives in the child."""

    def init_signals(self) -> None:
        """Called by gunicorn.  The server takes signals once it runs; until then they end the process."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def run(self) -> None:
        """Called by gunicorn, in the child."""
        from retort.server.server import Server

        listeners = [listener.sock for listener in self.sockets]
        Server(self.wsgi, self.app.registry, self.app.settings, listeners, self.notify).run()


def _log_to_stderr() -> None:
    """What Retort's own modules have to say; stdout is the access log."""
    logger = logging.getLogger("retort")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler())


def _say(line: str) -> None:
    """On stderr: stdout is the access log."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

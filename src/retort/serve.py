"""What `retort serve` runs: gunicorn with one worker of many threads, which loads the model after the fork.

The worker listens at once: until its model has given its golden logits it lives (`/health_check`) and is not ready
(`/readyz`, `/predict`: 503).
"""

import contextlib
import http.client
import json
import logging
import os
import socket
import sys
import threading
import uuid
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from retort.artifact import load_pointed
from retort.config import ServeSettings
from retort.errors import RetortError

KEEP_ALIVE_S = 30
HEARTBEAT_TIMEOUT_S = 120  # of the worker's main loop; requests may take longer
BACKLOG = 1024


def serve(settings: ServeSettings) -> int:
    """Serve until a signal ends it; returns the exit code.

    Raises BadArtifact: the pointed model is missing or damaged; RetortError: the address cannot be listened on.
    """
    load_pointed(settings.models_dir)  # damage is said before anything starts; so the first worker hashes nothing
    listener = _listen(settings.host, settings.port)
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
        self._settings, self._address = settings, listener.getsockname()[:2]
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
            "threads": min(self._settings.max_requests, 64),
            "keepalive": KEEP_ALIVE_S,
            "timeout": HEARTBEAT_TIMEOUT_S,
            "graceful_timeout": self._settings.graceful_timeout_s,
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

        settings = self._settings
        n_threads = settings.n_threads or count_processors()
        os.environ.setdefault("RAYON_NUM_THREADS", str(n_threads))  # the tokenizer's
        _log_to_stderr()
        registry = open_registry(settings)
        self._watcher = Watcher(registry)
        threading.Thread(target=self._load_model, args=[registry], daemon=True).start()
        return create_app(settings, registry)

    def _expect_change(self, arbiter: Arbiter, worker: ThreadWorker) -> None:
        """Called by gunicorn when a worker is gone: its successor comes later, and the files may not be the same."""
        self._is_verified = False

    def _load_model(self, registry: Any) -> None:
        """A worker without a model ends the server: started again, it would fail again."""
        try:
            version = registry.load(verify=not self._is_verified).artifact.version
        except Exception as e:
            _say(f"retort serve: {e}" if isinstance(e, RetortError) else f"retort serve: cannot load the model: {e!r}")
            os._exit(Arbiter.WORKER_BOOT_ERROR)
        host, port = self._address
        _say(f"Serving {version} on http://{f'[{host}]' if ':' in host else host}:{port}")
        self._watcher.start()

    def _stop_watching(self, arbiter: Arbiter, worker: ThreadWorker) -> None:
        """Called by gunicorn in the worker, at its end: a process must not end while the runtime builds a model."""
        if self._watcher is not None:
            self._watcher.stop()


class _Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, with our envelope and log line for what is no HTTP, and a door that closes."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called by gunicorn.  A worker that stops takes in who already waits and then refuses at once; left open, the
        socket would let clients wait for an answer that never comes."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        for listener in self.sockets:
            if listener.sock is None:  # closed already: the signal came while gunicorn had too many connections
                continue
            listener.setblocking(False)
            n_before = -1
            while n_before < self.nr_conns:
                n_before = self.nr_conns
                self.accept(listener)
            listener.close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Called by gunicorn for what the application never saw."""
        from retort.api.errors import build_envelope

        status, error_type, message = _explain(exc)
        if status == 500:
            self.log.error("a request failed", exc_info=exc)
        request_id = uuid.uuid4().hex
        _answer(client, status, request_id, build_envelope(error_type, message, request_id))
        self.wsgi.extensions["access_log"].write(status, request_id, addr[0] if addr else None)


def _explain(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, LimitRequestLine):
        return 414, "AddressTooLong", "Expected a shorter address; predictions are at POST /predict."
    if isinstance(error, LimitRequestHeaders):
        return 431, "HeadersTooLong", "Expected fewer or shorter headers."
    if isinstance(error, ParseException):
        return 400, "NotHttp", "Expected a request in HTTP/1.1; this one could not be read."
    return 500, "InternalError", "Something went wrong here; the server's log says what."


def _answer(client: socket.socket, status: int, request_id: str, envelope: dict[str, str]) -> None:
    body = json.dumps(envelope).encode()
    head = (
        f"HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nConnection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError):  # the client may be gone
        client.sendall(head.encode() + body)


def _log_to_stderr() -> None:
    """What Retort's own modules have to say; stdout is the access log."""
    logger = logging.getLogger("retort")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler())


def _say(line: str) -> None:
    """On stderr: stdout is the access log."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

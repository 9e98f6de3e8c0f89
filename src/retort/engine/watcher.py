"""Somebody changes the pointer: the registry follows.  Knows no model."""

import logging
import threading

from retort.engine.registry import Registry
from retort.errors import BadArtifact
from retort.pointer import look_at_pointer, parse_pointers

INTERVAL_S = 0.5

log = logging.getLogger(__name__)


class Watcher:
    """Looks at the pointer again and again.  Polling sees what other machines write to a shared disk, too."""

    def __init__(self, registry: Registry, interval_s: float = INTERVAL_S) -> None:
        self._registry, self._interval_s = registry, interval_s
        self._stopping = threading.Event()
        self._is_doubted = False
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Look until `stop`, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a model that is being loaded is given up."""
        self._stopping.set()
        self._registry.stop_loading()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Act on the pointer if it changed.  One that cannot be read may be half-written: it gets a second look."""
        look = look_at_pointer(self._registry.models_dir)
        if look == self._registry.acted_on:
            self._is_doubted = False
            return
        try:
            parse_pointers(self._registry.models_dir, look)
        except BadArtifact:
            if not self._is_doubted:
                self._is_doubted = True
                return
        self._is_doubted = False
        self._registry.reload(look)

    def _watch(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self.look()
            except Exception:  # a fault of ours; watching goes on
                log.exception("could not follow the pointer")

"""Threads that take work at once or not at all: what waits here is counted and bounded."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]


class ThreadPool:
    """Up to `max_threads`, started as they are needed and kept, for up to `max_work` at a time.

    One thread gives them work and is told, by calling `done`, when each is over.
    """

    def __init__(self, name: str, max_threads: int, max_work: int) -> None:
        self._name, self._max_threads, self._max_work = name, max_threads, max_work
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._n_threads = self._n_work = 0

    def start(self, work: Work) -> bool:
        """Have it done by a thread; False when there is too much already."""
        if self._n_work >= self._max_work:
            return False
        self._n_work += 1
        if self._n_threads < min(self._n_work, self._max_threads):
            self._n_threads += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._n_threads}", daemon=True).start()
        self._queue.put(work)
        return True

    def done(self) -> None:
        """Some work is over."""
        self._n_work -= 1

    def _run(self) -> None:
        while True:
            self._queue.get()()

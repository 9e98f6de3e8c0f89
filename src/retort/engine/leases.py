"""Predictors are lent to requests, and closed once they are retired and nobody has them any more."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retort.engine.memory import trim_memory
from retort.engine.predictor import Predictor


class Leases:
    """Who is lent out how often, and who only waits to be given back."""

    def __init__(self) -> None:
        self._returned = threading.Condition()
        self._n_leases: dict[Predictor, int] = {}
        self._retired: set[Predictor] = set()
        self._n_draining = 0

    @contextmanager
    def lend(self, find: Callable[[], Predictor]) -> Iterator[Predictor]:
        """What `find` gives, which is not closed before it is given back.  Raises what `find` raises."""
        with self._returned:  # a predictor that `find` no longer gives is counted by now, or never will be
            predictor = find()
            self._n_leases[predictor] = self._n_leases.get(predictor, 0) + 1
        try:
            yield predictor
        finally:
            with self._returned:
                self._n_leases[predictor] -= 1
                if not self._n_leases[predictor]:
                    del self._n_leases[predictor]
                    if self._retired:
                        self._returned.notify_all()

    def retire(self, predictor: Predictor) -> None:
        """Close it once nobody has it, in a thread of its own.  Whoever finds predictors must no longer find it."""
        with self._returned:
            self._retired.add(predictor)
            self._n_draining += 1
        box = [predictor]  # a thread keeps its arguments until it ends
        threading.Thread(target=self._drain, args=[box], name="drain", daemon=True).start()

    @property
    def retired(self) -> list[Predictor]:
        """Those that still answer somebody."""
        with self._returned:
            return list(self._retired)

    def wait_until_drained(self, timeout_s: float) -> bool:
        """Whether all that were retired have given their memory back."""
        with self._returned:
            return self._returned.wait_for(lambda: not self._n_draining, timeout_s)

    def _drain(self, box: list[Predictor]) -> None:
        with self._returned:
            self._returned.wait_for(lambda: box[0] not in self._n_leases)
        left = weakref.ref(box[0])
        try:
            box[0].close()
        finally:
            with self._returned:
                self._retired.discard(box.pop())
            if left() is not None:  # part of a circle; looking for those stops all threads for a moment
                gc.collect()
            trim_memory()
            with self._returned:
                self._n_draining -= 1
                self._returned.notify_all()

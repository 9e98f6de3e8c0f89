"""Clients that ask all the while, and remember what they got."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engines import ask, wait_until

TEXTS = ["How do I undo the last commit?", "center a div vertically", "left join returns duplicate rows"]


@dataclass
class Asked:
    """What clients got: models that answered, in order; everything else that came instead of an answer."""

    models: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    n_refused: int = 0  # connections: nobody listened

    def wait_for(self, n_more: int) -> None:
        """Until so many more answers came."""
        wanted = len(self.models) + n_more
        wait_until(lambda: len(self.models) >= wanted or bool(self.faults), f"{n_more} more answers came")


@contextmanager
def asking(port: int, n_clients: int = 4) -> Iterator[Asked]:
    """Each client opens a connection, asks, reads the answer, and begins again, until the `with` ends."""
    asked, is_over = Asked(), threading.Event()

    def client() -> None:
        while not is_over.is_set():
            try:
                status, answer = ask(port, "POST", "/predict", {"x": TEXTS})
            except ConnectionRefusedError:
                asked.n_refused += 1
                is_over.wait(0.01)
            except OSError as e:
                asked.faults.append(repr(e))
            else:
                _note(asked, status, answer)

    clients = [threading.Thread(target=client) for _ in range(n_clients)]
    for one in clients:
        one.start()
    try:
        yield asked
    finally:
        is_over.set()
        for one in clients:
            one.join()


def _note(asked: Asked, status: int, answer: dict[str, Any]) -> None:
    if status == 200 and len(answer["predictions"]) == len(TEXTS):
        asked.models.append(answer["model"])
    else:
        asked.faults.append(f"{status} {answer}")

"""TensorBoard beside a training."""

import socket
import time
import urllib.request
from pathlib import Path

from retort.training.tensorboard import show_tensorboard

PATIENCE_S = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
            return b"TensorBoard" in page.read()
    except OSError:
        return False


def test_it_answers_while_training_lasts_and_not_after(tmp_path: Path) -> None:
    port, said = free_port(), list[str]()
    with show_tensorboard(tmp_path, port, said.append):
        deadline = time.monotonic() + PATIENCE_S
        while not answers(port) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert answers(port)
    assert not answers(port)
    assert said == [f"TensorBoard: http://localhost:{port}"]


def test_without_a_port_nothing_is_started(tmp_path: Path) -> None:
    said = list[str]()
    with show_tensorboard(tmp_path, None, said.append):
        pass
    assert said == []

"""TensorBoard beside a training: a process of its own that ends with it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def show_tensorboard(log_dir: Path, port: int | None, say: Callable[[str], None]) -> Iterator[None]:
    """Show all of `log_dir` on `port` while the context lasts; with None, do nothing.

    A port that is taken, or any other trouble of TensorBoard's, does not stop the training.  It shows texts of users,
    so it listens on this machine only; a container, which has no other way out, sets `RETORT_TENSORBOARD_HOST`.
    """
    if port is None:
        yield
        return
    host = os.environ.get("RETORT_TENSORBOARD_HOST", "127.0.0.1")
    place = ["--logdir", str(log_dir), "--host", host, "--port", str(port)]
    command = [sys.executable, "-m", "tensorboard.main", *place]
    viewer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    say(f"TensorBoard: http://localhost:{port}")
    try:
        yield
    finally:
        if viewer.poll() is not None:
            say(f"TensorBoard could not stay on port {port}; see it with: tensorboard --logdir {log_dir}")
        viewer.terminate()
        viewer.wait()

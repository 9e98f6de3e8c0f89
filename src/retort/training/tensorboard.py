"""TensorBoard beside a training: a process of its own that ends with it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# On Linux the kernel ends it when the training dies, however that happens (1 is PR_SET_PDEATHSIG).
PROGRAM = """
import ctypes, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
import tensorboard.main
tensorboard.main.run_main()
"""


def find_logs(log_dir: Path, name: str, resume: bool) -> Path:
    """The folder for the events of training `<date>_<model>_<fingerprint>`; one that resumes keeps its own."""
    earlier = sorted(log_dir.glob(f"*_{name.rpartition('_')[2]}")) if resume else []
    return earlier[-1] if earlier else log_dir / name


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
    viewer = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PROGRAM, *place],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the training, which then ends it
    )
    say(f"TensorBoard: http://localhost:{port}")
    try:
        yield
    finally:
        if viewer.poll() is not None:
            say(f"TensorBoard could not stay on port {port}; see it with: tensorboard --logdir {log_dir}")
        viewer.terminate()
        viewer.wait()

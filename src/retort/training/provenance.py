"""How a training can be repeated, and what it took: command, versions, memory."""

import platform
import resource
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from retort.config import TrainSettings

PACKAGES = ("retort", "tensorflow", "openvino", "tokenizers", "numpy")


def command_of(settings: TrainSettings) -> str:
    """The shell command that these settings came from, or could have; defaults are left out, the seed is not."""
    words = ["retort", "train"]
    for name, field in TrainSettings.model_fields.items():
        value = getattr(settings, name)
        if name == "resume" or (value == field.default and name != "seed"):
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def package_versions() -> dict[str, str]:
    """Python and the packages whose version can change a result."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MB."""
    kilobytes_or_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes_or_bytes / (2**20 if platform.system() == "Darwin" else 2**10)


class Stopwatch:
    """Seconds of each stage, in order."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._say = say

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count what runs inside as `stage`."""
        self._say(f"{stage} …")
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

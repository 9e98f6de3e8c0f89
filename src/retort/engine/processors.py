"""How many processors this process may use: the container's quota, not the host's core count."""

import math
import os
from pathlib import Path


def count_processors(root: Path = Path("/")) -> int:
    """At least 1: the smaller of the allowed cores (affinity) and the cgroup's CPU quota, version 2 or 1.

    `root` is where `/proc` and `/sys` are.
    """
    return max(1, min([_allowed_cores(), *_quotas(root)]))


def _allowed_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _quotas(root: Path) -> list[int]:
    """Of every cgroup this process is in, from its own up to the root: each of them limits."""
    mount = root / "sys/fs/cgroup"
    found: list[int] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = ["", "", *line.split(":", 2)][-3:]
        top = mount / controllers if "cpu" in controllers.split(",") else mount
        own = top / path.lstrip("/")
        for folder in [own, *own.parents]:
            found += _quota(folder)
            if folder == mount:
                break
    return [*found, *_quota(mount), *_quota(mount / "cpu")]  # a container sees its own cgroup at the root


def _quota(folder: Path) -> list[int]:
    limit, _, period = _read(folder / "cpu.max").partition(" ")  # version 2: "200000 100000" or "max 100000"
    if not limit:
        limit, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    try:
        return [max(1, math.ceil(int(limit) / int(period)))] if int(limit) > 0 else []
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return []


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""How many processors this process may use: the container's quota, not the host's core count."""

import math
import os
from pathlib import Path

from retort.engine.cgroups import cgroup_folders, read_line


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
    return [quota for folder in cgroup_folders(root, "cpu") for quota in _quota(folder)]


def _quota(folder: Path) -> list[int]:
    limit, _, period = read_line(folder / "cpu.max").partition(" ")  # version 2: "200000 100000" or "max 100000"
    if not limit:
        limit, period = read_line(folder / "cpu.cfs_quota_us"), read_line(folder / "cpu.cfs_period_us")
    try:
        return [max(1, math.ceil(int(limit) / int(period)))] if int(limit) > 0 else []
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return []

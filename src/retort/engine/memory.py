"""How much memory is left for another model, and giving back what a closed one held."""

import ctypes
from pathlib import Path

from retort.artifact import Artifact
from retort.engine.cgroups import cgroup_folders, read_line
from retort.errors import BadArtifact

# Measured on MiniLM in float32: a graph of 90 MB holds 215 MB once batches of every size have run.
GRAPH_FACTOR = 2.5
BATCHES_BYTES = 64 * 2**20
_UNLIMITED = 2**60  # version 1 writes a number near 2^63 for no limit


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take: the least of the machine's and its cgroups'; None where nobody says.

    Page cache counts as free, for the kernel gives it up.  `root` is where `/proc` and `/sys` are.
    """
    found = [_in_group(folder) for folder in cgroup_folders(root, "memory")]
    machine = read_line(root / "proc/meminfo").splitlines()
    found += [int(line.split()[1]) * 1024 for line in machine if line.startswith("MemAvailable:")]
    return min((free for free in found if free is not None), default=None)


def check_memory(artifact: Artifact, free: int | None) -> None:
    """Raises BadArtifact: the model would not fit beside those that are loaded."""
    graph = artifact.path / artifact.served.graph
    try:
        needed = int(graph.stat().st_size * GRAPH_FACTOR) + BATCHES_BYTES
    except OSError as e:
        raise BadArtifact(f"Cannot read {graph}: {e.strerror}.") from e
    if free is not None and needed > free:
        raise BadArtifact(
            f"{artifact.path} needs about {needed >> 20} MB of memory beside the models that are loaded; "
            f"{free >> 20} MB are left. Allow the server more, or restart it with this model."
        )


def trim_memory() -> None:
    """Give the system what is no longer used; otherwise glibc keeps it for later."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # another C library
        return


def _in_group(folder: Path) -> int | None:
    """Limit minus use of one group, version 2 or 1."""
    names = ("memory.max", "memory.current", "inactive_file")
    if not read_line(folder / names[0]):
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    cached = [line.split() for line in read_line(folder / "memory.stat").splitlines()]
    reclaimable = sum(int(value) for name, value, *_ in (c for c in cached if len(c) > 1) if name == names[2])
    try:
        limit, used = int(read_line(folder / names[0])), int(read_line(folder / names[1]))
    except ValueError:  # "max", or no such file
        return None
    return max(0, limit - used + reclaimable) if limit < _UNLIMITED else None

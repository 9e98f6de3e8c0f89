"""Which control groups this process is in: the limits of its container, version 2 or 1."""

from collections.abc import Iterator
from pathlib import Path


def cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Of every group from its own up to the topmost: each of them limits.  `root` is where `/proc` and `/sys` are."""
    mount = root / "sys/fs/cgroup"
    for line in read_line(root / "proc/self/cgroup").splitlines():
        _, controllers, path = ["", "", *line.split(":", 2)][-3:]
        top = mount / controllers if controller in controllers.split(",") else mount
        own = top / path.lstrip("/")
        for folder in [own, *own.parents]:
            yield folder
            if folder == mount:
                break
    yield from (mount, mount / controller)  # a container sees its own cgroup at the root


def read_line(file: Path) -> str:
    """What a file of the kernel says; nothing where there is none."""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""What is left of the memory: the machine's, or the container's."""

from pathlib import Path

import pytest

from retort.artifact import Artifact
from retort.engine.memory import check_memory, free_memory, trim_memory
from retort.errors import BadArtifact

MB = 2**20


def machine(root: Path, available_mb: int, cgroup: str, **files: str) -> Path:
    """A `/proc` and `/sys`; `folder__file="content"` is a file of the cgroup tree."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {available_mb * 1024} kB\n")
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("-", ".", 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path) -> None:
    root = machine(tmp_path, 500, "0::/a\n", **{"a__memory-max": "max", "a__memory-current": str(MB)})
    assert free_memory(root) == 500 * MB
    assert free_memory(tmp_path / "elsewhere") is None


def test_version_2_limits_every_group_up_to_the_root_and_page_cache_is_free(tmp_path: Path) -> None:
    inner = {"a__b__memory-max": str(400 * MB), "a__b__memory-current": str(100 * MB)}
    outer = {"a__memory-max": str(300 * MB), "a__memory-current": str(200 * MB)}
    cached = {"a__memory-stat": f"anon {120 * MB}\ninactive_file {50 * MB}\n"}
    assert free_memory(machine(tmp_path, 500, "0::/a/b\n", **inner, **outer, **cached)) == 150 * MB


def test_version_1_is_read_and_its_number_for_no_limit_is_none(tmp_path: Path) -> None:
    limited = {"memory__a__memory-limit_in_bytes": str(90 * MB), "memory__a__memory-usage_in_bytes": str(60 * MB)}
    cached = {"memory__a__memory-stat": f"total_inactive_file {5 * MB}"}
    free = {"memory__memory-limit_in_bytes": str(2**63 - 4096), "memory__memory-usage_in_bytes": "1"}
    assert free_memory(machine(tmp_path, 500, "4:memory:/a\n3:cpu:/b\n", **limited, **cached, **free)) == 35 * MB


def test_a_model_needs_more_than_its_graph(artifact: Artifact) -> None:
    check_memory(artifact, None)
    check_memory(artifact, 80 * MB)
    with pytest.raises(BadArtifact, match="60 MB are left"):
        check_memory(artifact, 60 * MB)


def test_trimming_works_with_any_c_library() -> None:
    trim_memory()

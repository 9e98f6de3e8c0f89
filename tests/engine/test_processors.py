"""Threads follow the container's quota."""

import os
from pathlib import Path

import pytest

from retort.engine.processors import count_processors


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_any_cgroup_the_allowed_cores_count(tmp_path: Path) -> None:
    assert count_processors(tmp_path) == 16


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 16), ("3200000 100000", 16)],
)
def test_a_version_2_quota_is_rounded_up(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "sys/fs/cgroup/cpu.max", quota + "\n")
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    assert count_processors(tmp_path) == expected


def test_the_smallest_quota_on_the_way_up_limits(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/pod/container\n")
    write(tmp_path / "sys/fs/cgroup/pod/cpu.max", "300000 100000\n")
    write(tmp_path / "sys/fs/cgroup/pod/container/cpu.max", "max 100000\n")
    assert count_processors(tmp_path) == 3


@pytest.mark.parametrize(("quota", "expected"), [("400000", 4), ("-1", 16)])
def test_a_version_1_quota_counts_too(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", quota)
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000")
    assert count_processors(tmp_path) == expected


def test_a_container_that_sees_only_its_own_version_1_cgroup_is_limited(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert count_processors(tmp_path) == 2


@pytest.mark.parametrize("damaged", ["", "abc", "1 0", "200000"])
def test_a_quota_that_makes_no_sense_is_no_quota(tmp_path: Path, damaged: str) -> None:
    write(tmp_path / "sys/fs/cgroup/cpu.max", damaged)
    write(tmp_path / "proc/self/cgroup", "not a cgroup line")
    assert count_processors(tmp_path) == 16


def test_this_machine_has_a_count() -> None:
    assert count_processors() >= 1

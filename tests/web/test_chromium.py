"""`scripts/chromium` with programs that only note what they were asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest
from browser import HOW, find_chromium

SCRIPT = Path(__file__).parents[2] / "scripts" / "chromium"
DEBIAN = Path("/etc/os-release").exists() and "ID=debian" in Path("/etc/os-release").read_text().splitlines()


def run(tmp_path: Path, *programs: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    """With nothing in reach but `programs`, for the user of that number."""
    for name in ("sh", "grep"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name in ("id", *programs):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/{name}.calls\necho {user}\n')
        (tmp_path / name).chmod(0o755)
    return subprocess.run([str(SCRIPT)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["chromium", "google-chrome-stable"])
def test_a_browser_that_is_there_is_enough(tmp_path: Path, name: str) -> None:
    ran = run(tmp_path, name, "apt-get")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert not (tmp_path / "apt-get.calls").exists()


@pytest.mark.skipif(not DEBIAN, reason="it installs on Debian only")
def test_root_on_debian_installs_it(tmp_path: Path) -> None:
    ran = run(tmp_path, "apt-get")
    assert ran.returncode == 0
    assert (tmp_path / "apt-get.calls").read_text() == "update\ninstall --yes --no-install-recommends chromium\n"


def test_whoever_cannot_install_it_hears_how(tmp_path: Path) -> None:
    ran = run(tmp_path, user=1000)
    assert ran.returncode == 0  # the other tests run; those of the page fail
    assert "apt install chromium" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_without_one_tests_of_the_page_fail_and_say_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=HOW):
        find_chromium()

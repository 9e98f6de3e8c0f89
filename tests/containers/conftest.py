"""What the container tests share: an engine, and the image that serves, built once."""

import shutil
import subprocess
from pathlib import Path

import pytest
from engines import ROOT, environment, find_engine


@pytest.fixture(scope="session")
def engine() -> str:
    """`docker` or `podman`; the whole run ends with one clear line where neither answers."""
    try:
        return find_engine()
    except LookupError as e:
        pytest.exit(str(e), returncode=1)


@pytest.fixture(scope="session")
def api_image(engine: str) -> str:
    """The image that serves, without a model."""
    asked = environment(ENGINE=engine, BAKE="0", NAME="retort-api:tested")
    built = subprocess.run(["scripts/image", "api"], cwd=ROOT, env=asked, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return "retort-api:tested"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the working tree in which nothing was trained."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, files.split("\0")):
        if (ROOT / file).is_file():
            (tmp_path / "tree" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / "tree" / file)
    return tmp_path / "tree"

"""Fixtures that several rooms share."""

from pathlib import Path

import pytest

from artifacts import tiny_artifact
from retort.artifact import Artifact, load_pointed


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A models folder that holds one published tiny model."""
    tiny_artifact(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def artifact(models_dir: Path) -> Artifact:
    """The tiny model of `models_dir`."""
    return load_pointed(models_dir)

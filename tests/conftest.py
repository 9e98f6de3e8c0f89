"""Fixtures that several rooms share."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from artifacts import tiny_artifact
from retort.app import create_app
from retort.artifact import Artifact, load_pointed
from retort.config import ServeSettings
from retort.engine.registry import Registry


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A models folder that holds one published tiny model."""
    tiny_artifact(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def artifact(models_dir: Path) -> Artifact:
    """The tiny model of `models_dir`."""
    return load_pointed(models_dir)


@pytest.fixture(scope="session")
def served_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder for tests that only read it."""
    models_dir = tmp_path_factory.mktemp("models")
    tiny_artifact(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def loaded(served_dir: Path) -> Registry:
    """A registry that answers, for applications of many settings; whoever counts takes one of their own."""
    registry = Registry(served_dir, n_threads=1)
    registry.load()
    return registry


@pytest.fixture(scope="session")
def client(served_dir: Path) -> FlaskClient:
    """A client of the application that serves the tiny model with small limits."""
    settings = ServeSettings(
        models_dir=served_dir, n_threads=1, max_body_bytes=200_000, max_texts_per_request=3000,
        max_tokens_per_request=20_000,
    )  # fmt: skip
    return create_app(settings).test_client()

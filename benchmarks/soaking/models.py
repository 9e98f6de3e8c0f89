"""Models to serve without training one: random weights, tiny or as large as MiniLM."""

import functools
from datetime import UTC, datetime
from pathlib import Path

import artifacts

MIDDLE = {"hidden_size": 384, "embedding_size": 384, "n_layers": 6, "n_groups": 6, "n_heads": 12,
          "intermediate_size": 1536, "max_positions": 512}  # fmt: skip


def make_tiny(models_dir: Path, seed: int = 0) -> str:
    """Publish a model of 2 layers of 8, and point to it; returns its version."""
    created = datetime(2026, 1, 6, 22, 6, 23 + seed, tzinfo=UTC)
    return artifacts.tiny_artifact(models_dir, seed=seed, created=created).version


def make_middle(models_dir: Path) -> str:
    """Publish one that costs what MiniLM costs, and point to it."""
    tiny_config, random_weights = artifacts.tiny_config, artifacts.random_weights
    artifacts.tiny_config = functools.partial(tiny_config, **MIDDLE)
    artifacts.random_weights = functools.partial(random_weights, scale=0.05)
    try:
        return artifacts.tiny_artifact(models_dir, name="middle", max_seq_len=128).version
    finally:
        artifacts.tiny_config, artifacts.random_weights = tiny_config, random_weights

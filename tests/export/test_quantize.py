"""8-bit files are small, silent and close."""

import logging
from pathlib import Path

import numpy as np
import pytest

from artifacts import random_weights, tiny_config
from retort.engine.session import open_session
from retort.export.onnx import build_graph, save_graph
from retort.export.quantize import quantize
from retort.tokenization.batch import Batch

WIDE = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 128, "vocab_size": 500}
ALBERT = {"family": "albert", "embedding_size": 16, "n_groups": 1}


@pytest.mark.parametrize("kind", [WIDE, WIDE | {"pooling": "cls"}, WIDE | ALBERT], ids=["mean", "cls", "albert"])
def test_an_8_bit_file_is_a_third_of_the_size_and_gives_nearly_the_same_logits(kind: dict, tmp_path: Path) -> None:
    config = tiny_config(**kind)
    save_graph(build_graph(config, random_weights(config, scale=0.1)), tmp_path / "model.onnx")
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx")
    sizes = [(tmp_path / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert sizes[0] < sizes[1] / 2.5
    ids = np.random.default_rng(0).integers(0, 500, (4, 9))
    batch = Batch(ids, np.ones_like(ids), np.zeros_like(ids))
    exact, close = (open_session(tmp_path / name, 1).run(batch) for name in ("model.onnx", "model.int8.onnx"))
    assert 0 < np.abs(exact - close).max() < 0.1 * np.abs(exact).max()


def test_it_says_nothing_and_leaves_the_log_level_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    save_graph(build_graph(tiny_config(), random_weights(tiny_config())), tmp_path / "model.onnx")
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert logging.root.manager.disable == logging.NOTSET
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]

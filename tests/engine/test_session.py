"""The runtime behind its seam."""

from pathlib import Path

import numpy as np
import pytest

from retort.artifact import Artifact
from retort.engine.session import open_session
from retort.errors import BadArtifact
from retort.tokenization.batch import Batch


def a_batch() -> Batch:
    ids = np.array([[2, 7, 3], [2, 3, 0]])
    return Batch(ids, (ids > 0).astype(np.int64), np.zeros_like(ids))


@pytest.mark.parametrize("n_threads", [0, 1, 3])
def test_a_session_turns_a_batch_into_logits(artifact: Artifact, n_threads: int) -> None:
    session = open_session(artifact.path / "model.onnx", n_threads)
    logits = session.run(a_batch())
    assert logits.shape == (2, 3)
    assert logits.dtype == np.float32
    session.close()


@pytest.mark.parametrize("content", [None, b"", b"no graph at all", b"\x08\x0a" * 1000])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "broken.onnx"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadArtifact, match=r"broken\.onnx"):
        open_session(file, 1)


def test_half_a_graph_is_named(artifact: Artifact, tmp_path: Path) -> None:
    whole = (artifact.path / "model.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArtifact, match=r"half\.onnx"):
        open_session(tmp_path / "half.onnx", 1)

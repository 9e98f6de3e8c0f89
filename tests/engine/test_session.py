"""The runtime behind its seam."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from retort.artifact import Artifact
from retort.engine.session import native_precision, open_session
from retort.errors import BadArtifact
from retort.export.quantize import quantize
from retort.tokenization.batch import Batch, collate
from retort.tokenization.encoding import Encoding


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


def some_encodings(n: int = 60) -> list[Encoding]:
    rng = np.random.default_rng(0)
    return [Encoding(rng.integers(5, 50, length).tolist(), int(length)) for length in rng.integers(3, 40, n)]


def probabilities(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def test_an_answer_depends_neither_on_company_nor_on_padding(artifact: Artifact) -> None:
    session = open_session(artifact.path / "model.onnx", 2)
    encodings = some_encodings()
    alone = probabilities(np.concatenate([session.run(collate([e], 0)) for e in encodings]))
    for length in (None, 64):
        together = probabilities(session.run(collate(encodings, 0, length)))
        np.testing.assert_allclose(together, alone, atol=1e-4)
        assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()


def test_threads_share_a_session_and_each_gets_its_own_answer(artifact: Artifact) -> None:
    session = open_session(artifact.path / "model.onnx", 2)
    batches = [collate([e], 0) for e in some_encodings(200)]
    expected = [session.run(batch) for batch in batches]
    with ThreadPoolExecutor(5) as pool:  # more than there are streams
        for found, one in zip(pool.map(session.run, batches), expected, strict=True):
            np.testing.assert_allclose(found, one, atol=1e-5)


def test_a_session_says_how_many_batches_run_at_once_and_how_large_they_are_best(artifact: Artifact) -> None:
    session = open_session(artifact.path / "model.onnx", 3)
    assert session.n_streams == 3
    assert session.max_batch_tokens >= 512


def test_bfloat16_is_close_and_float32_where_the_processor_lacks_it(artifact: Artifact) -> None:
    exact, close = (
        open_session(artifact.path / "model.onnx", 1, precision).run(a_batch()) for precision in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(close, exact, atol=0.05 * float(np.abs(exact).max()))
    assert (native_precision() == "float32") <= bool((exact == close).all())


def test_another_runtime_gives_the_same_answers_for_both_files(artifact: Artifact, tmp_path: Path) -> None:
    batch = collate(some_encodings(), 0)
    feed = {name: getattr(batch, name) for name in ("input_ids", "attention_mask", "token_type_ids")}
    quantize(artifact.path / "model.onnx", tmp_path / "model.int8.onnx", some_encodings())
    for file, tolerance in ((artifact.path / "model.onnx", 1e-4), (tmp_path / "model.int8.onnx", 0.1)):
        (other,) = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(["logits"], feed)
        ours = open_session(file, 1).run(batch)
        np.testing.assert_allclose(ours, other, atol=tolerance * float(np.abs(other).max()))


def test_a_session_that_was_closed_does_not_run(artifact: Artifact) -> None:
    session = open_session(artifact.path / "model.onnx", 1)
    session.close()
    with pytest.raises(AttributeError):
        session.run(a_batch())


def test_importing_the_runtime_prints_nothing() -> None:
    code = "import retort.engine.session"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")

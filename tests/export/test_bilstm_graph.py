"""A bilstm's graph gives what TensorFlow does, in float32 and in any company."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import save_file

from retort.engine.predictor import run_encodings
from retort.engine.session import Session, open_session
from retort.errors import BadCheckpoint
from retort.export.onnx import build_graph, save_graph
from retort.export.quantize import quantize
from retort.model.architecture import BilstmConfig, Weights
from retort.model.bilstm import Bilstm, bilstm_shapes
from retort.model.bilstm_folder import describe_bilstm
from retort.model.checkpoint import load_checkpoint
from retort.model.classifier import Classifier
from retort.model.heads import HEADS
from retort.tokenization.batch import collate
from retort.tokenization.encoding import Encoding
from retort.tokenization.words import build_word_tokenizer

CONFIG = BilstmConfig(
    60, 12, embedding_size=24, character_size=8, n_filters=10, n_characters=7, hidden_size=32
)  # fmt: skip
TWO = replace(CONFIG, n_layers=2)
LABELS = ["O", "B-a", "I-a", "B-b", "I-b"]


def random_weights(config: BilstmConfig) -> Weights:
    rng = np.random.default_rng(3)
    shapes = bilstm_shapes(config) | {"classifier.kernel": (config.hidden_size, 5), "classifier.bias": (5,)}
    return {n: rng.normal(0, 0.4, shape).astype(np.float32) for n, shape in shapes.items()}


def some_encodings(n: int, config: BilstmConfig = CONFIG, seed: int = 0) -> list[Encoding]:
    rng, found = np.random.default_rng(seed), []
    for length in rng.integers(2, 40, n):
        characters = rng.integers(4, config.n_known_characters, (length, config.n_characters))
        characters *= np.arange(config.n_characters) < rng.integers(0, config.n_characters + 1, (length, 1))
        ids = rng.integers(0, config.vocab_size, length).tolist()
        found.append(Encoding(ids, int(length), characters=characters.tolist()))
    return found


def session_of(config: BilstmConfig, weights: Weights, folder: Path, head: str = "tokens") -> Session:
    save_graph(build_graph(config, weights, head), folder / "model.onnx")
    return open_session(folder / "model.onnx", n_threads=1)


@pytest.mark.parametrize("config", [CONFIG, TWO], ids=["one layer", "two"])
@pytest.mark.parametrize("head", ["tokens", "pooled"])
def test_a_graph_gives_the_logits_of_tensorflow(config: BilstmConfig, head: str, tmp_path: Path) -> None:
    weights, encodings = random_weights(config), some_encodings(30, config)
    model = Classifier(Bilstm(config, weights), HEADS[head](config, 5, "softmax", weights))
    found = run_encodings(session_of(config, weights, tmp_path, head), encodings, 0)
    for ours, theirs in zip(model.predict_logits(encodings), found, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=2e-5)


def test_neither_company_nor_padding_changes_an_answer(tmp_path: Path) -> None:
    session, encodings = session_of(TWO, random_weights(TWO), tmp_path), some_encodings(9)
    alone = [session.run(collate([e], 0))[0] for e in encodings]
    for length, n_rows in [(None, None), (50, None), (64, 16)]:  # the last with rows of padding alone
        together = session.run(collate(encodings, 0, length, n_rows))
        assert np.isfinite(together).all()
        for encoding, row, expected in zip(encodings, together, alone, strict=False):
            np.testing.assert_allclose(row[: len(encoding)], expected, atol=1e-5)


def test_another_runtime_gives_the_same(tmp_path: Path) -> None:
    session, batch = session_of(TWO, random_weights(TWO), tmp_path), collate(some_encodings(9), 0)
    other = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = other.run(None, {each.name: getattr(batch, each.name) for each in other.get_inputs()})
    np.testing.assert_allclose(found, session.run(batch), atol=1e-5)


def test_a_graph_is_standard_and_takes_characters_for_types() -> None:
    model = build_graph(TWO, random_weights(TWO), "tokens_crf")
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [each.name for each in model.graph.input] == ["input_ids", "attention_mask", "characters"]


def test_a_missing_weight_is_named() -> None:
    weights = random_weights(CONFIG)
    del weights["lstm.0.recurrent"]
    with pytest.raises(BadCheckpoint, match=r"lstm\.0\.recurrent"):
        build_graph(CONFIG, weights, "tokens")


def test_8_bits_hold_the_words_and_leave_the_lstm(tmp_path: Path) -> None:
    config = replace(CONFIG, vocab_size=5000)
    weights, encodings = random_weights(config), some_encodings(20, config)
    exact = session_of(config, weights, tmp_path)
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx", encodings)
    close = open_session(tmp_path / "model.int8.onnx", n_threads=1)
    for a, b in zip(run_encodings(exact, encodings, 0), run_encodings(close, encodings, 0), strict=True):
        np.testing.assert_allclose(a, b, atol=0.05)
    sizes = [(tmp_path / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert sizes[0] < sizes[1] / 2


def publish(folder: Path) -> tuple[BilstmConfig, Weights]:
    tokenizer, n_known = build_word_tokenizer(["how to sort a list"])
    config = replace(TWO, vocab_size=tokenizer.vocab_size, n_known_characters=n_known)
    weights = random_weights(config) | {"crf.start": np.zeros(5, np.float32)}
    content, state = describe_bilstm(config, weights, LABELS, "token_classification")
    (folder / "config.json").write_text(json.dumps(content))
    save_file(state, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    return config, weights


def test_a_published_folder_is_an_encoder_again(tmp_path: Path) -> None:
    config, weights = publish(tmp_path)
    again = load_checkpoint(tmp_path)
    assert again.config == config
    assert {*again.weights} == {*bilstm_shapes(config)}
    assert all(np.array_equal(w, weights[n]) for n, w in again.weights.items())
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["retort_encoder"]["transformers_compatible"] is False
    assert content["id2label"]["1"] == "B-a"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"hidden_size": 64}, "lstm"), ({"hidden_size": "64"}, "hidden_size"), ({"more": 1}, "more"), (None, "bilstm")],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, sizes: dict | None, message: str) -> None:
    publish(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["bilstm"] = None if sizes is None else content["bilstm"] | sizes
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match=message):
        load_checkpoint(tmp_path)

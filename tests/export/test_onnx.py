"""The exported graph computes what the architecture says, written down a second time in plain numpy."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

import retort.export.onnx as exporter
from artifacts import random_weights, tiny_config
from retort.engine.session import Session, open_session
from retort.errors import BadCheckpoint
from retort.export.onnx import build_graph, save_graph
from retort.model.architecture import EncoderConfig, Weights
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch

ALBERT = {"family": "albert", "embedding_size": 6, "n_layers": 4, "n_groups": 2, "activation": "gelu_new"}


def norm(x: Floats, eps: float) -> Floats:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def activate(x: Floats, name: str) -> Floats:
    if name == "gelu":
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    if name == "gelu_new":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return np.maximum(x, 0) if name == "relu" else np.tanh(x)


def reference(c: EncoderConfig, weights: Weights, batch: Batch, head: str = "pooled") -> Floats:
    """Logits, computed in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def dense(x: Floats, name: str) -> Floats:
        return x @ w[f"{name}.kernel"] + w[f"{name}.bias"]

    def affine(x: Floats, name: str) -> Floats:
        return norm(x, c.layer_norm_eps) * w[f"{name}.gamma"] + w[f"{name}.beta"]

    B, T = batch.input_ids.shape
    x = w["embeddings.word"][batch.input_ids] + w["embeddings.token_type"][batch.token_type_ids]
    x = affine(x + w["embeddings.position"][:T], "embeddings.norm")
    if c.family == "albert":
        x = dense(x, "embeddings.projection")
    hidden = batch.attention_mask[:, None, None, :] == 0
    for layer in range(c.n_layers):
        name = f"layer.{c.group_of(layer)}"
        q, k, v = (
            dense(x, f"{name}.attention.{part}").reshape(B, T, c.n_heads, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]) + np.where(hidden, -1e4, 0)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(B, T, -1)
        x = affine(x + dense(mixed, f"{name}.attention.output"), f"{name}.attention.norm")
        inner = activate(dense(x, f"{name}.ffn.intermediate"), c.activation)
        x = affine(x + dense(inner, f"{name}.ffn.output"), f"{name}.ffn.norm")
    if head == "tokens":
        return dense(x, "classifier")
    if c.pooling == "cls":
        return dense(activate(dense(x[:, 0], "pooler"), c.pooler_activation), "classifier")
    mask = batch.attention_mask[:, :, None]
    mean = (x * mask).sum(1) / np.maximum(mask.sum(1), 1)
    return dense(norm(mean, c.layer_norm_eps) / math.sqrt(c.hidden_size), "classifier")


def some_batch(lengths: list[int], config: EncoderConfig, seed: int = 0) -> Batch:
    rng, shape = np.random.default_rng(seed), (len(lengths), max(lengths) or 3)
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    types = rng.integers(0, config.n_token_types, shape)
    return Batch(rng.integers(0, config.vocab_size, shape), mask, types)


def session_of(config: EncoderConfig, weights: Weights, tmp_path: Path, head: str = "pooled") -> Session:
    save_graph(build_graph(config, weights, head), tmp_path / "model.onnx")
    return open_session(tmp_path / "model.onnx", n_threads=1)


@pytest.mark.parametrize("family", [{}, ALBERT, ALBERT | {"n_groups": 1}], ids=["bert", "albert", "one group"])
@pytest.mark.parametrize(
    "kind",
    [
        {"pooling": "mean"},
        {"pooling": "mean", "layer_norm_eps": 0.1, "activation": "gelu_new"},
        {"pooling": "cls"},
        {"pooling": "cls", "pooler_activation": "relu", "activation": "relu"},
        {"pooling": "cls", "n_layers": 1, "n_groups": 1, "n_token_types": 5},
    ],
    ids=str,
)
def test_a_graph_gives_the_logits_of_the_architecture(family: dict, kind: dict, tmp_path: Path) -> None:
    config = tiny_config(**(family | kind))
    weights = random_weights(config)
    session = session_of(config, weights, tmp_path)
    for lengths in ([5, 1, 9, 3], [1], [64, 64]):
        batch = some_batch(lengths, config)
        np.testing.assert_allclose(session.run(batch), reference(config, weights, batch), atol=2e-5)


@pytest.mark.parametrize("family", [{}, ALBERT], ids=["bert", "albert"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])  # which changes nothing here
def test_a_graph_for_tokens_gives_the_logits_of_each(family: dict, pooling: str, tmp_path: Path) -> None:
    config = tiny_config(**family, pooling=pooling)
    weights = random_weights(config, n_labels=5)
    session = session_of(config, weights, tmp_path, "tokens")
    for lengths in ([5, 1, 9, 3], [1], [64, 64]):
        batch = some_batch(lengths, config)
        found, expected = session.run(batch), reference(config, weights, batch, "tokens")
        assert found.shape == (*batch.input_ids.shape, 5)
        real = batch.attention_mask == 1
        np.testing.assert_allclose(found[real], expected[real], atol=2e-5)


@pytest.mark.parametrize(("head", "axes"), [("pooled", ["batch"]), ("tokens", ["batch", "length"])])
def test_a_graph_says_the_shape_of_its_logits(head: str, axes: list[str]) -> None:
    model = build_graph(tiny_config(), random_weights(tiny_config()), head)
    onnx.checker.check_model(model, full_check=True)
    shape = model.graph.output[0].type.tensor_type.shape.dim
    assert [each.dim_param for each in shape[:-1]] == axes
    assert shape[-1].dim_value == 3


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_row_of_nothing_but_padding_gives_numbers_and_spoils_no_other(pooling: str, tmp_path: Path) -> None:
    config = tiny_config(pooling=pooling)
    session = session_of(config, random_weights(config), tmp_path)
    batch = some_batch([4, 0, 2], config)
    logits = session.run(batch)
    assert np.isfinite(logits).all()
    alone = Batch(batch.input_ids[:1], batch.attention_mask[:1], batch.token_type_ids[:1])
    np.testing.assert_allclose(session.run(alone)[0], logits[0], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_stands_in_the_padding_changes_nothing(pooling: str, tmp_path: Path) -> None:
    config = tiny_config(pooling=pooling)
    session = session_of(config, random_weights(config), tmp_path)
    batch = some_batch([4, 7], config)
    other = Batch(np.where(batch.attention_mask, batch.input_ids, 7), batch.attention_mask, batch.token_type_ids)
    np.testing.assert_allclose(session.run(batch), session.run(other), atol=1e-6)


def test_every_operator_is_a_standard_one() -> None:
    model = build_graph(tiny_config(), random_weights(tiny_config()))
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}


def test_layers_that_share_weights_store_them_once() -> None:
    one, many = tiny_config(**ALBERT | {"n_groups": 1}), tiny_config(**ALBERT | {"n_groups": 1, "n_layers": 12})
    stored = [[t.name for t in build_graph(c, random_weights(c)).graph.initializer] for c in (one, many)]
    assert stored[0] == stored[1]


def test_the_same_weights_give_the_same_bytes() -> None:
    config = tiny_config()
    first, second = (build_graph(config, random_weights(config)).SerializeToString(deterministic=True) for _ in "ab")
    assert first == second


def test_a_missing_weight_is_named() -> None:
    weights = random_weights(tiny_config())
    del weights["layer.1.ffn.output.bias"]
    with pytest.raises(BadCheckpoint, match=r"layer\.1\.ffn\.output\.bias"):
        build_graph(tiny_config(), weights)


@pytest.mark.parametrize("change", [{"activation": "swish"}, {"pooling": "cls", "pooler_activation": "swish"}])
def test_an_unknown_activation_is_named(change: dict) -> None:
    with pytest.raises(BadCheckpoint, match="swish"):
        build_graph(tiny_config(**change), random_weights(tiny_config()))


def test_an_unknown_head_is_named() -> None:
    with pytest.raises(BadCheckpoint, match="span"):
        build_graph(tiny_config(), random_weights(tiny_config()), head="span")


def test_a_graph_too_large_for_one_file_is_written_as_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(vocab_size=400)
    weights = random_weights(config)
    batch = some_batch([3, 5], config)
    expected = session_of(config, weights, tmp_path).run(batch)
    monkeypatch.setattr(exporter, "MAX_FILE_BYTES", 1000)
    (tmp_path / "large").mkdir()
    session = session_of(config, weights, tmp_path / "large")
    assert (tmp_path / "large" / "model.onnx.data").stat().st_size > 10_000
    np.testing.assert_allclose(session.run(batch), expected, atol=1e-6)

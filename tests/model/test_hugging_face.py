"""Trained models as folders that `transformers` reads: the same logits, and back again."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file
from test_vocabulary import train_sentence_piece, write_vocabulary

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights
from retort.model.checkpoint import load_checkpoint
from retort.model.encoder import Encoder
from retort.model.heads import PooledHead
from retort.model.hugging_face import OUR_FACTS, to_hugging_face, tokenizer_files
from retort.model.names import expected_shapes
from retort.model.vocabulary import load_sentence_piece, load_word_piece
from retort.tokenization.tokenizer import Tokenizer

LABELS = ["c++", "java", "питон"]
BERT = EncoderConfig("bert", 300, 32, 32, 2, 2, 4, 48, max_positions=24)
ALBERT = replace(BERT, family="albert", embedding_size=8, n_groups=1, activation="gelu_new")


def random_weights(config: EncoderConfig, seed: int = 0) -> Weights:
    """Weights of a trained model, with states and logits of realistic size."""
    generator = np.random.default_rng(seed)
    shapes = expected_shapes(config, pooler=config.pooling == "cls")
    weights = {n: (generator.normal(0, 0.3, s) + n.endswith("gamma")).astype(np.float32) for n, s in shapes.items()}
    size = 3.0 if config.pooling == "mean" else 1.0
    weights["classifier.kernel"] = generator.normal(0, size, (config.hidden_size, 3)).astype(np.float32)
    weights["classifier.bias"] = generator.normal(0, 1, 3).astype(np.float32)
    return weights


def logits(config: EncoderConfig, weights: Weights) -> np.ndarray:
    """Of a padded batch of texts with 13, 6, 2 and 1 tokens, the first a pair."""
    mask = (np.arange(13) < np.array([[13], [6], [2], [1]])).astype(np.int64)
    ids = np.random.default_rng(3).integers(1, 300, mask.shape) * mask
    types = np.zeros_like(mask)
    types[0, 8:] = 1
    head = PooledHead(config, 3, "softmax", weights)
    hidden = Encoder(config, weights)(tf.constant(ids), tf.constant(mask), tf.constant(types))
    return np.asarray(head.logits(head.features(hidden, tf.constant(mask))))


def write(folder: Path, config: EncoderConfig, weights: Weights) -> dict[str, object]:
    """Publish into `folder`, with a vocabulary; gives the configuration."""
    content, state = to_hugging_face(config, weights, LABELS, "single_label_classification")
    (folder / "config.json").write_text(json.dumps(content))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = load_word_piece(write_vocabulary(folder / "vocab.txt"))
    for name, text in tokenizer_files(tokenizer, config, 16).items():
        (folder / name).write_text(text, encoding="utf-8")
    return content


@pytest.mark.parametrize(
    "config",
    [
        BERT,
        ALBERT,
        replace(BERT, pooling="mean"),
        replace(BERT, pooling="mean", layer_norm_eps=1e-5, activation="relu"),
        replace(BERT, pooling="mean", hidden_size=384, embedding_size=384, n_heads=12),
    ],
)
def test_the_published_architecture_gives_the_same_logits(tmp_path: Path, config: EncoderConfig) -> None:
    """Read as `transformers` reads it: without our key, with the first token's state, tanh and a classifier."""
    weights = random_weights(config)
    content = write(tmp_path, config, weights)
    assert content[OUR_FACTS]["transformers_compatible"] is True
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in content.items() if k != OUR_FACTS}))
    theirs = load_checkpoint(tmp_path)
    assert (theirs.config.pooling, theirs.config.pooler_activation) == ("cls", "tanh")
    _, state = to_hugging_face(config, weights, LABELS, "single_label_classification")
    head = {"classifier.kernel": state["classifier.weight"].T, "classifier.bias": state["classifier.bias"]}
    expected = logits(config, weights)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits(theirs.config, theirs.weights | head), expected, atol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        BERT,
        ALBERT,
        replace(BERT, pooling="mean"),
        replace(ALBERT, pooling="mean"),
        replace(BERT, pooler_activation="relu"),
    ],
)
def test_a_published_folder_is_an_encoder_again(tmp_path: Path, config: EncoderConfig) -> None:
    weights = random_weights(config)
    write(tmp_path, config, weights)
    again = load_checkpoint(tmp_path)
    assert again.config == config
    assert {*again.weights} == {n for n in weights if not n.startswith("classifier.")}
    assert all(np.array_equal(w, weights[n]) for n, w in again.weights.items())


@pytest.mark.parametrize("config", [BERT, ALBERT, replace(BERT, pooling="mean"), replace(ALBERT, pooling="mean")])
def test_a_tagger_is_published_as_a_token_classifier(tmp_path: Path, config: EncoderConfig) -> None:
    weights = random_weights(config) | {"crf.transitions": np.eye(3, dtype=np.float32)}
    content, state = to_hugging_face(config, weights, LABELS, "token_classification")
    assert content["architectures"] == [f"{config.family.capitalize()}ForTokenClassification"]
    assert "problem_type" not in content  # `transformers` knows none for it
    assert content[OUR_FACTS]["transformers_compatible"] is True
    assert "emissions" in content[OUR_FACTS]["logits"]
    assert not any("pooler" in name for name in state)
    np.testing.assert_array_equal(state["classifier.weight"], weights["classifier.kernel"].T)
    np.testing.assert_array_equal(state["crf.transitions"], weights["crf.transitions"])
    (tmp_path / "config.json").write_text(json.dumps(content))
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    load_word_piece(write_vocabulary(tmp_path / "vocab.txt"))
    again = load_checkpoint(tmp_path)
    assert again.config == config
    assert all(np.array_equal(w, weights[n]) for n, w in again.weights.items())
    assert {*again.weights} == {*expected_shapes(config, pooler=False)}


def test_a_tagger_without_a_crf_speaks_of_none() -> None:
    content, state = to_hugging_face(BERT, random_weights(BERT), LABELS, "token_classification")
    assert "logits" not in content[OUR_FACTS]
    assert not any(name.startswith("crf.") for name in state)


def test_a_pooling_layer_that_cannot_be_is_refused(tmp_path: Path) -> None:
    content = write(tmp_path, ALBERT, random_weights(ALBERT))
    content[OUR_FACTS]["pooling_layer"] = True
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match="pooling layer"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("config", [replace(ALBERT, pooling="mean"), replace(BERT, pooler_activation="relu")])
def test_a_model_that_transformers_cannot_compute_says_so(config: EncoderConfig) -> None:
    content, _ = to_hugging_face(config, random_weights(config), LABELS, "single_label_classification")
    assert content[OUR_FACTS]["transformers_compatible"] is False
    assert content[OUR_FACTS]["why"]


def test_the_pooling_layer_is_right_for_states_of_any_size() -> None:
    """In float32, from tiny to huge means, beside a residual that must vanish."""
    generator, H = np.random.default_rng(5), 384
    _, state = to_hugging_face(
        config := replace(BERT, pooling="mean", hidden_size=H, embedding_size=H, n_heads=12),
        random_weights(config),
        LABELS,
        "single_label_classification",
    )
    loud = state["bert.encoder.layer.2.attention.output.dense.weight"]
    quiet = state["bert.pooler.dense.weight"]
    for size in (1e-3, 1.0, 50.0):
        mean, first = (generator.normal(0, s, (8, H)).astype(np.float32) for s in (size, 2.0))
        x = mean @ loud + first
        for _ in range(2):  # the norms after attention and after the (zero) feed-forward
            x = ((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)).astype(np.float32)
        feature = np.tanh(x @ quiet) / quiet[0, 0] / np.float32(math.sqrt(H))
        centred = mean - mean.mean(1, keepdims=True)
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        np.testing.assert_allclose(feature, expected, atol=2e-6)


def test_config_json_speaks_the_ecosystem_s_words() -> None:
    content, state = to_hugging_face(ALBERT, random_weights(ALBERT), LABELS, "multi_label_classification")
    assert content["architectures"] == ["AlbertForSequenceClassification"]
    assert content["id2label"] == {"0": "c++", "1": "java", "2": "питон"}
    assert content["label2id"] == {"c++": 0, "java": 1, "питон": 2}
    assert content["problem_type"] == "multi_label_classification"
    assert "retort" not in content
    assert state["classifier.weight"].shape == (3, 32)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in state.values())


def test_tokenizer_files_carry_the_layout_and_special_tokens(tmp_path: Path) -> None:
    word_piece = load_word_piece(write_vocabulary(tmp_path / "vocab.txt"))
    sentence_piece = load_sentence_piece(train_sentence_piece(tmp_path))
    bare = json.loads(word_piece.to_json()) | {"post_processor": None}
    for tokenizer, pad in (
        (word_piece, "[PAD]"),
        (sentence_piece, "<pad>"),
        (Tokenizer.from_json(json.dumps(bare)), "[PAD]"),
    ):
        files = tokenizer_files(tokenizer, BERT, 16)
        settings = json.loads(files["tokenizer_config.json"])
        assert (settings["pad_token"], settings["cls_token"], settings["sep_token"]) == (pad, "[CLS]", "[SEP]")
        assert (settings["model_max_length"], settings["do_lower_case"]) == (16, True)
        content = json.loads(files["tokenizer.json"])
        assert content["truncation"] is None
        assert content["padding"] is None
        parts = content["post_processor"]["pair"]
        assert [next(iter(part.values()))["id"] for part in parts] == ["[CLS]", "A", "[SEP]", "B", "[SEP]"]
        assert [next(iter(part.values()))["type_id"] for part in parts] == [0, 0, 0, 1, 1]
        again = Tokenizer.from_json(files["tokenizer.json"])
        assert again.tokenize(["the words, [SEP]"]) == tokenizer.tokenize(["the words, [SEP]"])

"""A bilstm computes what plain numpy says, reads padding and company away, and spells what it does not know."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from retort.config import TrainSettings
from retort.errors import BadUsage
from retort.model.architecture import BilstmConfig, Weights
from retort.model.bilstm import Bilstm, bilstm_shapes, draw_bilstm
from retort.model.classifier import Classifier
from retort.model.heads import HEADS, CrfHead
from retort.tasks.base import Floats
from retort.tokenization.encoding import Encoding
from retort.training.dataset import Examples
from retort.training.trainer import fit

CONFIG = BilstmConfig(40, 12, embedding_size=6, character_size=4, n_filters=5, n_characters=7, hidden_size=8)
SEED = tf.constant([1, 2], tf.int64)
Arrays = dict[str, np.ndarray]


def some_inputs(lengths: list[int], config: BilstmConfig = CONFIG, seed: int = 0) -> Arrays:
    rng, shape = np.random.default_rng(seed), (len(lengths), max(lengths))
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int32)
    characters = rng.integers(4, config.n_known_characters, (*shape, config.n_characters))
    n_there = rng.integers(0, config.n_characters + 1, shape)  # also none
    characters *= (np.arange(config.n_characters) < n_there[:, :, None]) & (mask[:, :, None] == 1)
    ids = rng.integers(4, config.vocab_size, shape) * mask
    return {"input_ids": ids.astype(np.int32), "attention_mask": mask, "characters": characters.astype(np.int32)}


def random_bilstm(config: BilstmConfig = CONFIG) -> Weights:
    rng = np.random.default_rng(3)
    return {n: rng.normal(0, 0.5, shape).astype(np.float32) for n, shape in bilstm_shapes(config).items()}


def reference(config: BilstmConfig, weights: Weights, ids: np.ndarray, characters: np.ndarray) -> Floats:
    """States (T, H) of one text without padding, in float64, a number at a time where that is plainest."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    rows = []
    for word, spelling in zip(ids, characters, strict=True):
        letters = [w["embeddings.character"][c] for c in spelling if c]
        padded = [np.zeros(config.character_size), *letters, np.zeros(config.character_size)]
        found = [
            sum(padded[i + j] @ w["characters.kernel"][j] for j in range(3)) + w["characters.bias"]
            for i in range(len(letters))
        ]
        best = np.maximum(np.max(found, axis=0), 0) if found else np.zeros(config.n_filters)
        rows.append(np.concatenate([w["embeddings.word"][word], best]))
    x = np.array(rows)
    for layer in range(config.n_layers):
        names = [f"lstm.{layer}.{part}" for part in ("kernel", "recurrent", "bias")]
        forwards, backwards = (_lstm(each, *(w[n][d] for n in names)) for d, each in enumerate((x, x[::-1])))
        x = np.concatenate([forwards, backwards[::-1]], axis=1)
    return x


def _lstm(x: Floats, kernel: Floats, recurrent: Floats, bias: Floats) -> Floats:
    def sigmoid(z: Floats) -> Floats:
        return 1 / (1 + np.exp(-z))

    hidden = cell = np.zeros(recurrent.shape[0])
    states = []
    for row in x:
        let_in, let_out, keep, new = np.split(row @ kernel + hidden @ recurrent + bias, 4)
        cell = sigmoid(keep) * cell + sigmoid(let_in) * np.tanh(new)
        hidden = sigmoid(let_out) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, n_layers=2)], ids=["one layer", "two"])
def test_states_are_what_numpy_computes_of_each_text_alone(config: BilstmConfig) -> None:
    weights, lengths = random_bilstm(config), [5, 1, 9, 3]
    inputs = some_inputs(lengths, config)
    states = Bilstm(config, weights)(**inputs).numpy()
    assert states.shape == (4, 9, 8)
    for row, length in enumerate(lengths):
        expected = reference(config, weights, *(inputs[n][row, :length] for n in ("input_ids", "characters")))
        np.testing.assert_allclose(states[row, :length], expected, atol=1e-5)
        assert not states[row, length:].any()


def test_words_are_forgotten_in_training_alone_and_special_tokens_never() -> None:
    config = replace(CONFIG, hidden_dropout=0.0, word_dropout=1.0)
    weights, inputs = random_bilstm(config), some_inputs([6, 4])
    model = Bilstm(config, weights)
    unknown = inputs | {"input_ids": np.where(inputs["input_ids"] >= 4, 1, inputs["input_ids"])}
    forgotten = model(**inputs, training=True, seed=SEED).numpy()
    np.testing.assert_allclose(forgotten, model(**unknown).numpy(), atol=1e-6)
    assert np.abs(forgotten - model(**inputs).numpy()).max() > 0.01
    special = inputs | {"input_ids": inputs["input_ids"] % 4}
    np.testing.assert_allclose(model(**special, training=True, seed=SEED), model(**special), atol=1e-6)


def test_dropout_follows_from_the_seed() -> None:
    model, inputs = Bilstm(CONFIG, random_bilstm()), some_inputs([6, 4])
    calm, first, again = (model(**inputs, training=t, seed=SEED).numpy() for t in (False, True, True))
    assert (calm != first).any()
    assert (first == again).all()


def test_it_starts_at_gates_that_remember_and_gives_back_its_weights() -> None:
    weights = draw_bilstm(CONFIG, seed=1)
    assert {name: w.shape for name, w in weights.items()} == bilstm_shapes(CONFIG)
    assert weights["lstm.0.bias"].reshape(2, 4, 4)[:, 2].min() == 1
    assert np.abs(weights["lstm.0.bias"]).sum() == 8
    model = Bilstm(CONFIG, weights)
    assert all(np.array_equal(w, weights[name]) for name, w in model.export_weights().items())
    assert {*model.trainable} == {*weights}
    assert any((draw_bilstm(CONFIG, seed=2)[n] != weights[n]).any() for n in weights)


@pytest.mark.parametrize("option", [{"lora_rank": 4}, {"n_frozen": 1}])
def test_nothing_of_it_can_be_kept(option: dict) -> None:
    with pytest.raises(BadUsage, match="pretrained"):
        Bilstm(CONFIG, random_bilstm(), **option)


@pytest.mark.parametrize("head", ["tokens", "tokens_crf"])
def test_it_learns_to_tell_words_by_their_spelling_alone(head: str) -> None:
    """Every word is unknown; one whose first character is 11 is an entity, and so is the next word."""
    rng, encodings, targets = np.random.default_rng(0), [], []
    for _ in range(120):
        n = int(rng.integers(4, 9))
        characters = rng.integers(4, 11, (n, CONFIG.n_characters))
        characters[[0, -1]] = 0
        tags = np.zeros(n, np.int64)
        at = int(rng.integers(1, n - 2))
        characters[at, 0] = 11
        tags[at : at + 2] = [1, 2]
        tags[[0, -1]] = -1
        encodings.append(Encoding([2, *[1] * (n - 2), 3], n, characters=characters.tolist()))
        targets.append(tags)
    config = replace(CONFIG, hidden_dropout=0.1, n_filters=16, character_size=10, hidden_size=32)
    model = Classifier(Bilstm(config, draw_bilstm(config)), HEADS[head](config, 3, "softmax", {}))
    settings = TrainSettings(n_epochs=10, batch_size=8, max_learn_rate=2e-2)
    kept = np.concatenate(targets) >= 0

    def validate() -> dict[str, float]:
        rows = model.predict_logits(encodings)
        decode = model.head.chain.viterbi if model.head.chain else partial(np.argmax, axis=1)
        right = np.concatenate([decode(row) for row in rows]) == np.concatenate(targets)
        return {"accuracy": float(right[kept].mean())}

    fit(model, Examples(encodings, targets), settings, validate)
    assert validate()["accuracy"] > 0.95
    assert [row.shape for row in model.predict_logits(encodings)] == [(len(e), 3) for e in encodings]
    if isinstance(model.head, CrfHead):
        moves = model.head.chain.transitions
        assert moves[1, 2] > moves[1, 0]  # what begins goes on

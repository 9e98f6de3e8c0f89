"""Training learns, stops when it should, keeps the best epoch and says what went wrong."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from tiny_training import Listener, accuracy_on, digest, tiny_examples, tiny_model, tiny_settings, train_tiny

from artifacts import random_weights, tiny_config
from retort.errors import BadUsage, TrainingFailed
from retort.model.classifier import Classifier
from retort.model.device import Device, select_device, select_precision
from retort.model.encoder import Encoder
from retort.model.heads import HEADS
from retort.tokenization.encoding import Encoding
from retort.training.dataset import Examples
from retort.training.trainer import fit


def fit_tiny(scores: list[float] | None = None, listener: Listener | None = None, **changes: Any) -> Any:
    """Train on `tiny_examples`, with given scores where the real ones do not matter; what `fit` says, and the model."""
    model_changes = {k: changes.pop(k) for k in ("precision", "lora_rank", "n_frozen") if k in changes}
    model, examples = tiny_model(**model_changes), tiny_examples()
    real = accuracy_on(model, examples)
    given = iter(scores or [])
    validate = (lambda: {"accuracy": next(given), "macro_f1": 0.0}) if scores else real
    return fit(model, examples, tiny_settings(**changes), validate, listener), model


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_learns(precision: str) -> None:
    fitted, model = fit_tiny(n_epochs=40, max_learn_rate=1e-2, dropout=0.0, precision=precision)
    assert fitted.history[-1].loss < 0.3 < fitted.history[0].loss
    examples = tiny_examples()
    assert accuracy_on(model, examples)()["accuracy"] > 0.9
    assert fitted.examples_per_s > 0


def test_lora_learns_and_leaves_the_other_weights() -> None:
    before = tiny_model().encoder.export_weights()
    fitted, model = fit_tiny(n_epochs=10, max_learn_rate=1e-2, lora_rank=4)
    after = model.encoder.export_weights()
    assert fitted.history[-1].loss < fitted.history[0].loss
    assert (after["layer.0.attention.query.kernel"] != before["layer.0.attention.query.kernel"]).any()
    same = [n for n in before if not n.endswith(".kernel")]
    assert all((after[n] == before[n]).all() for n in same)


def test_what_is_frozen_does_not_change() -> None:
    before = tiny_model().encoder.export_weights()
    _, model = fit_tiny(n_epochs=1, n_frozen=1)
    after = model.encoder.export_weights()
    changed = {name for name in before if (after[name] != before[name]).any()}
    assert changed
    assert all(name.startswith("layer.1.") for name in changed)
    _, model = fit_tiny(n_epochs=1, n_frozen=2)
    assert digest(model.encoder.export_weights()) == digest(before)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    assert train_tiny(None, Listener())[0] == train_tiny(None, Listener())[0]
    assert train_tiny(None, Listener())[0] != train_tiny(None, Listener(), seed=1)[0]


def test_the_best_epoch_is_kept() -> None:
    digests: list[str] = []
    model, examples = tiny_model(), tiny_examples()
    scores = iter([0.5, 0.8, 0.8, 0.6])

    def validate() -> dict[str, float]:
        digests.append(digest(model.export_weights()))
        return {"macro_f1": next(scores), "accuracy": 1.0}

    listener = Listener()
    fitted = fit(model, examples, tiny_settings(n_epochs=4), validate, listener)
    assert fitted.best_epoch == 2
    assert digest(model.export_weights()) == digests[1]
    assert len(set(digests)) == 4
    assert [is_best for _, is_best in listener.epochs] == [True, True, False, False]
    assert [e.scores["macro_f1"] for e in fitted.history] == [0.5, 0.8, 0.8, 0.6]
    assert not fitted.stopped_early


def test_patience_ends_training() -> None:
    fitted, _ = fit_tiny([0.5, 0.8, 0.7, 0.8, 0.9], n_epochs=5, early_stopping_patience=2)
    assert [e.number for e in fitted.history] == [1, 2, 3, 4]
    assert fitted.best_epoch == 2
    assert fitted.stopped_early


def test_without_patience_it_goes_on() -> None:
    fitted, _ = fit_tiny([0.5, 0.4, 0.3, 0.2, 0.1], n_epochs=5)
    assert len(fitted.history) == 5


def test_listeners_hear_of_each_step_with_its_rate() -> None:
    listener = Listener()
    fitted, _ = fit_tiny([0.1, 0.2], listener, n_epochs=2, warmup_proportion=0.5)
    assert len(listener.losses) == 14
    assert max(listener.rates) == listener.rates[7] == 3e-3
    assert np.mean(listener.losses[:6]) == pytest.approx(fitted.history[0].loss, rel=0.2)
    assert [e.step for e, _ in listener.epochs] == [7, 14]
    assert all(e.seconds > 0 for e in fitted.history)


def test_a_loss_that_is_no_number_ends_training_with_advice() -> None:
    model = tiny_model()
    model.encoder.variables["layer.0.ffn.output.bias"].assign(np.full(8, np.nan))
    with pytest.raises(TrainingFailed, match=r"loss became nan in step 1: .* smaller --max-learn-rate than 0\.003"):
        fit(model, tiny_examples(), tiny_settings(), dict)


def test_balanced_weights_help_the_rare_label() -> None:
    examples = tiny_examples(60)
    rare = Examples(examples.encodings, np.where(np.arange(60) < 4, 1, 0))

    def logit_of_rare(class_weights: str) -> float:
        model = tiny_model()
        fit(model, rare, tiny_settings(n_epochs=2, class_weights=class_weights), lambda: {"accuracy": 1.0})
        logits = np.stack(model.predict_logits(rare.encodings))
        return float((logits[:, 1] - logits[:, 0]).mean())

    assert logit_of_rare("balanced") > logit_of_rare("none") + 0.1


def test_several_labels_a_text_train_a_sigmoid_head() -> None:
    model, examples = tiny_model(), tiny_examples()
    model.head.activation = "sigmoid"
    several = Examples(examples.encodings, np.eye(3, dtype=np.float32)[examples.targets])
    settings = tiny_settings(n_epochs=10, max_learn_rate=1e-2, class_weights="balanced")
    fitted = fit(model, several, settings, lambda: {"micro_f1": 1.0})
    assert fitted.history[-1].loss < fitted.history[0].loss


@pytest.mark.parametrize("head", ["tokens", "tokens_crf"])
def test_tokens_learn_their_labels(head: str) -> None:
    """Token 70 begins an entity and 71 goes on with it."""
    config, rng = tiny_config(), np.random.default_rng(0)
    encodings, targets = [], []
    for _ in range(80):
        ids = rng.integers(5, 60, int(rng.integers(4, 9)))
        at = int(rng.integers(1, len(ids) - 2))
        ids[at : at + 2] = [70, 71]
        tags = np.zeros(len(ids), np.int64)
        tags[at : at + 2] = [1, 2]
        tags[[0, -1]] = -1
        encodings.append(Encoding(ids.tolist(), len(ids)))
        targets.append(tags)
    encoder = Encoder(config, random_weights(config, scale=0.3))
    model = Classifier(encoder, HEADS[head](config, 3, "softmax", {}))

    def validate() -> dict[str, float]:
        rows = model.predict_logits(encodings)
        decode = model.head.chain.viterbi if model.head.chain else partial(np.argmax, axis=1)
        right = [(decode(row) == tags)[tags >= 0] for row, tags in zip(rows, targets, strict=True)]
        return {"accuracy": float(np.concatenate(right).mean())}

    fit(model, Examples(encodings, targets), tiny_settings(n_epochs=8, max_learn_rate=1e-2), validate)
    assert validate()["accuracy"] > 0.95


def test_predictions_keep_the_order_whatever_the_lengths() -> None:
    model, examples = tiny_model(), tiny_examples(200)
    together = np.stack(model.predict_logits(examples.encodings))
    features = np.stack(model.features(examples.encodings))
    assert together.shape == (200, 3)
    assert features.shape == (200, 8)
    for i in (0, 7, 199):
        np.testing.assert_allclose(model.predict_logits([examples.encodings[i]])[0], together[i], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    assert model.predict_logits([]) == []


def test_an_absent_gpu_is_said_and_the_cpu_trains() -> None:
    device = select_device(3)
    if device.kind == "gpu":
        pytest.skip("this machine has a GPU")
    assert device.sentence.startswith("No GPU 3 here: training on the CPU with ")
    assert "No GPU" not in select_device(None).sentence


def test_precision_follows_the_device() -> None:
    cpu = Device("cpu", "")
    assert select_precision("auto", cpu) in {"bfloat16", "float32"}
    assert select_precision("float32", cpu) == "float32"
    assert select_precision("float16", Device("gpu", "")) == "float16"
    with pytest.raises(BadUsage, match="float16 needs a GPU"):
        select_precision("float16", cpu)

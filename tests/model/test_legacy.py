"""Folders of the older project: that they answer as they did, and that nothing in them is run."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from google_checkpoint import run_bert_for_tf2, write_google_folder

from retort.engine.loading import load_predictor
from retort.errors import BadCheckpoint
from retort.importer import import_legacy
from retort.model.encoder import Encoder
from retort.model.heads import PooledHead
from retort.model.legacy import Legacy, read_labels, read_legacy
from retort.tasks import Input
from retort.tasks.metrics import softmax
from retort.tokenization.encoding import Encoding, extend

LABELS = ["c++", "java", "O", "питон"]
LENGTH = 11
KINDS = [("bert", "ids"), ("bert", "ids and types"), ("albert", "ids")]


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Ids (3, 11) of texts of 11, 7 and 2 tokens, and the mask."""
    mask = (np.arange(LENGTH) < np.array([[11], [7], [2]])).astype(np.int64)
    return np.random.default_rng(3).integers(1, 40, mask.shape) * mask, mask


@pytest.fixture(scope="module")
def old_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as the older project left them, each with what its model answers."""
    home, (ids, _) = tmp_path_factory.mktemp("old"), batch()
    for family, inputs in KINDS:
        folder = home / family / inputs
        write_google_folder(folder, family)
        for part in folder.glob("*ckpt*"):
            part.unlink()
        (folder / "config.json").write_text(
            json.dumps({"model_dir": "models/elsewhere", "model_type": "uncased_L-3", "max_seq_len": LENGTH})
        )
        np.save(folder / "label_encoder.npy", np.array(LABELS, dtype=object if inputs == "ids" else str))
        more = {"token_type_ids": np.zeros_like(ids)} if "types" in inputs else {}
        np.savez(folder / "in.npz", input_ids=ids, **more)
    run_bert_for_tf2("legacy", [home / family / inputs for family, inputs in KINDS])
    return home


def probabilities(legacy: Legacy, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    encoder = Encoder(legacy.config, legacy.weights)
    head = PooledHead(legacy.config, len(legacy.labels), "softmax", legacy.weights)
    hidden = encoder(tf.constant(ids), tf.constant(mask), tf.zeros_like(ids))
    return np.asarray(tf.nn.softmax(head.logits(head.features(hidden, tf.constant(mask)))))


@pytest.mark.parametrize(("family", "inputs"), KINDS)
def test_an_old_model_answers_as_it_did(old_models: Path, family: str, inputs: str) -> None:
    folder, (ids, _) = old_models / family / inputs, batch()
    legacy, expected = read_legacy(folder), np.load(folder / "out.npz")["probabilities"]
    assert (legacy.labels, legacy.max_seq_len, legacy.name) == (tuple(LABELS), LENGTH, "uncased_L-3")
    assert legacy.config.pooler_activation == "relu"
    everything = np.ones_like(ids)  # the older project never masked padding
    np.testing.assert_allclose(probabilities(legacy, ids, everything), expected, atol=1e-5)


def test_texts_without_padding_answer_the_same_with_a_mask(old_models: Path) -> None:
    folder, (ids, mask) = old_models / "bert" / "ids", batch()
    expected = np.load(folder / "out.npz")["probabilities"]
    found = probabilities(read_legacy(folder), ids, mask)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert np.abs(found[2] - expected[2]).max() > 1e-3, "padding had its say in the older project's answers"


def test_the_encoder_s_files_may_lie_in_the_model_dir(old_models: Path, tmp_path: Path) -> None:
    source = old_models / "bert" / "ids"
    for name in ("model.h5", "label_encoder.npy"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    base = tmp_path / "base"
    base.mkdir()
    for name in ("bert_config.json", "vocab.txt"):
        (base / name).write_bytes((source / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_dir": "base", "max_seq_len": LENGTH}))
    assert read_legacy(tmp_path).weights.keys() == read_legacy(source).weights.keys()
    (tmp_path / "config.json").write_text(json.dumps({"model_dir": "gone", "max_seq_len": LENGTH}))
    with pytest.raises(BadCheckpoint, match=r"bert_config\.json or albert_config\.json"):
        read_legacy(tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "max_seq_len"), ({"max_seq_len": "128"}, "max_seq_len"), ({"max_seq_len": 999}, "999.*20 positions")],
)
def test_a_bad_length_is_named(old_models: Path, tmp_path: Path, settings: dict[str, object], said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_dir": str(old_models / "bert" / "ids"), **settings}))
    with pytest.raises(BadCheckpoint, match=said):
        read_legacy(tmp_path)


def old_copy(old_models: Path, folder: Path) -> Path:
    for file in (old_models / "bert" / "ids").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_labels_of_another_model_are_refused(old_models: Path, tmp_path: Path) -> None:
    folder = old_copy(old_models, tmp_path)
    np.save(folder / "label_encoder.npy", np.array(["a", "b"]))
    with pytest.raises(BadCheckpoint, match=r"model\.h5: expected two dense layers.*2 labels"):
        read_legacy(folder)


def test_damaged_weights_are_named(old_models: Path, tmp_path: Path) -> None:
    folder = old_copy(old_models, tmp_path)
    whole = (folder / "model.h5").read_bytes()
    for content in (b"", b"no HDF5", whole[: len(whole) // 2]):
        (folder / "model.h5").write_bytes(content)
        with pytest.raises(BadCheckpoint, match=r"model\.h5"):
            read_legacy(folder)
    with h5py.File(folder / "model.h5", "w"):
        pass
    with pytest.raises(BadCheckpoint, match=r"model\.h5"):
        read_legacy(folder)


def test_a_missing_weight_is_named(old_models: Path, tmp_path: Path) -> None:
    folder = old_copy(old_models, tmp_path)
    with h5py.File(folder / "model.h5", "a") as f:
        del f["bert/bert/encoder/layer_1/output/dense/kernel:0"]
    with pytest.raises(BadCheckpoint, match=r"lacks .*layer_1/output/dense/kernel:0"):
        read_legacy(folder)


def test_weights_inside_a_whole_saved_model_are_found(old_models: Path, tmp_path: Path) -> None:
    folder = old_copy(old_models, tmp_path)
    with h5py.File(folder / "model.h5", "r") as old, h5py.File(folder / "new.h5", "w") as new:
        root = new.create_group("model_weights")
        root.attrs["layer_names"] = old.attrs["layer_names"]
        for name in old:
            old.copy(name, root)
    (folder / "new.h5").replace(folder / "model.h5")
    assert "classifier.kernel" in read_legacy(folder).weights


@pytest.mark.parametrize("dtype", [str, object])
@pytest.mark.parametrize("labels", [LABELS, ["O", "b", "|", "O8", ""], ["one"], ["x" * 5000, "é\u0301", "🙂"]])
def test_labels_are_read_however_numpy_wrote_them(tmp_path: Path, labels: list[str], dtype: type) -> None:
    file = tmp_path / "label_encoder.npy"
    for array in (np.array(labels, dtype), np.array(labels, dtype)[::-1]):
        np.save(file, array)
        assert read_labels(file) == tuple(array.tolist())


class Dangerous:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("touched-by-a-pickle"),))


def object_array(*items: object) -> np.ndarray:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "label_encoder.npy"
    np.save(file, object_array("java", Dangerous()), allow_pickle=True)
    with pytest.raises(BadCheckpoint, match=r"pathlib|asks for"):
        read_labels(file)
    assert not (tmp_path / "touched-by-a-pickle").exists()
    np.save(file, np.array(["a", "b"], object), allow_pickle=True)
    header = file.read_bytes()[:128]
    for code in (b"cnumpy\nload\n.", b"cos\nsystem\n(S'true'\ntR.", pickle.dumps(eval), pickle.dumps(["a", "b"]), b""):
        file.write_bytes(header + code)
        with pytest.raises(BadCheckpoint, match=r"label_encoder\.npy"):
            read_labels(file)


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 1]),
        object_array("java", 1),
        object_array("java", None),
        object_array("java", ["nested"]),
        np.array([["a", "b"]]),
        np.array([], str),
        np.array(["a", "a"]),
        np.array("a"),
    ],
)
def test_anything_but_a_row_of_different_strings_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "label_encoder.npy", array, allow_pickle=True)
    with pytest.raises(BadCheckpoint, match=r"label_encoder\.npy"):
        read_labels(tmp_path / "label_encoder.npy")


def test_a_damaged_labels_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "label_encoder.npy"
    np.save(file, np.array(LABELS))
    whole = file.read_bytes()
    for content in (b"", b"text", whole[:20], whole[:-3]):
        file.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=r"label_encoder\.npy"):
            read_labels(file)
    file.unlink()
    with pytest.raises(BadCheckpoint, match=r"label_encoder\.npy"):
        read_labels(file)


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_an_imported_model_serves_the_old_answers(old_models: Path, tmp_path: Path, family: str) -> None:
    folder, (ids, mask) = old_models / family / "ids", batch()
    artifact = import_legacy(folder, tmp_path)
    predictor = load_predictor(artifact)
    texts = [Encoding(row[:n].tolist(), int(n)) for row, n in zip(ids, mask.sum(axis=1), strict=True)]
    logits = predictor.logits([extend(text, LENGTH, 0) for text in texts])
    np.testing.assert_allclose(softmax(np.stack(logits)), np.load(folder / "out.npz")["probabilities"], atol=1e-5)
    (answer,) = predictor.predict([Input("x")]).answers
    assert answer.n_tokens == LENGTH, "padded as the old model was trained, and honest about what that costs"
    assert answer.prediction.label in LABELS

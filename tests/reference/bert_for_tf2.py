"""Run bert-for-tf2 on its own: it needs Keras 2 and, inside TensorFlow, a Keras that is no longer kept working.

    python bert_for_tf2.py hidden FOLDER...    hidden states of checkpoints in Google's layout
    python bert_for_tf2.py legacy FOLDER...    folders as the older project saved them, and what they answer

Each folder's `in.npz` holds `input_ids`, `attention_mask`, `token_type_ids` (B, T); the answer goes to its `out.npz`.
"""

import json
import os
import sys
from pathlib import Path

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "VERBOSE": "0"}

import numpy as np
import tensorflow as tf
import tensorflow.python as tensorflow_inside
import tf_keras

tensorflow_inside.keras = tf_keras  # where bert-for-tf2 looks for it
sys.modules["tensorflow.python.keras"] = tf_keras
sys.modules["tensorflow.python.keras.backend"] = tf_keras.backend

import bert  # noqa: E402 (only now can it be imported)

SEED = 20


def load_encoder(folder: Path, batch: dict[str, np.ndarray]) -> bert.BertModelLayer:
    """A layer with the checkpoint's weights; it is built by running it once."""
    layer = bert.BertModelLayer.from_params(bert.params_from_pretrained_ckpt(str(folder)), name="bert")
    run(layer, batch)
    stem = str(next(folder.glob("*.ckpt*.index")).with_suffix(""))
    load = bert.load_albert_weights if layer.params.embedding_size else bert.load_bert_weights
    skipped = load(layer, stem)
    assert not skipped, skipped
    return layer


def run(layer: bert.BertModelLayer, batch: dict[str, np.ndarray]) -> np.ndarray:
    """Hidden states (B, T, H), with padding masked."""
    inputs = [tf.constant(batch["input_ids"], tf.int32), tf.constant(batch["token_type_ids"], tf.int32)]
    return layer(inputs, mask=tf.constant(batch["attention_mask"], tf.int32), training=False).numpy()


def hidden(folder: Path) -> None:
    batch = dict(np.load(folder / "in.npz"))
    np.savez(folder / "out.npz", hidden=run(load_encoder(folder, batch), batch))


def legacy(folder: Path) -> None:
    """Build the older project's classifier on the folder's own encoder configuration, save it, and say what it answers.

    It is never told of padding.  Without `token_type_ids` in `in.npz`, its encoder has the one input.
    """
    batch, settings = dict(np.load(folder / "in.npz")), json.loads((folder / "config.json").read_text())
    n_labels = len(np.load(folder / "label_encoder.npy", allow_pickle=True))
    tf_keras.utils.set_random_seed(SEED)
    names = [name for name in ("input_ids", "token_type_ids") if name in batch]
    inputs = [tf_keras.layers.Input(shape=(settings["max_seq_len"],), dtype="int32", name=name) for name in names]
    layer = bert.BertModelLayer.from_params(bert.params_from_pretrained_ckpt(str(folder)), name="bert")
    states = layer(inputs if len(inputs) > 1 else inputs[0])
    cls = tf_keras.layers.Dropout(0.5)(tf_keras.layers.Lambda(lambda x: x[:, 0, :])(states))
    dense = tf_keras.layers.Dense(layer.params.hidden_size, activation="relu")
    inner = tf_keras.layers.Dropout(0.5)(dense(cls))
    model = tf_keras.Model(inputs=inputs, outputs=tf_keras.layers.Dense(n_labels, activation="softmax")(inner))
    for i, variable in enumerate(model.weights):  # norms and biases start at 1 and 0, which would hide mistakes
        variable.assign_add(tf.random.stateless_normal(variable.shape, [SEED, i], stddev=0.2))
    model.save_weights(str(folder / "model.h5"))
    np.savez(folder / "out.npz", probabilities=model.predict([batch[name] for name in names], verbose=0))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        {"hidden": hidden, "legacy": legacy}[sys.argv[1]](Path(name))

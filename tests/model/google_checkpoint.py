"""Small checkpoints in Google's layout, written by TensorFlow under the real variable names."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

BERT = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "type_vocab_size": 2,
    "vocab_size": 40,
}
SCRIPT = Path(__file__).parents[1] / "reference" / "bert_for_tf2.py"
# albert_xxlarge_v2's configuration with every size scaled down, except for layers and dropout.
ALBERT_XXLARGE = {
    "attention_probs_dropout_prob": 0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0,
    "embedding_size": 8,
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 256,
    "max_position_embeddings": 512,
    "num_attention_heads": 16,
    "num_hidden_layers": 12,
    "num_hidden_groups": 1,
    "net_structure_type": 0,
    "layers_to_keep": [],
    "gap_size": 0,
    "num_memory_blocks": 0,
    "inner_group_num": 1,
    "down_scale_factor": 1,
    "type_vocab_size": 2,
    "vocab_size": 40,
}
# What albert_tiny_zh's configuration looks like, scaled down.
BRIGHTMART = {**BERT, "embedding_size": 8, "ln_type": "postln"}

Shapes = dict[str, tuple[int, ...]]


def _dense(name: str, n_in: int, n_out: int) -> Shapes:
    return {f"{name}/kernel": (n_in, n_out), f"{name}/bias": (n_out,)}


def _norm(name: str, size: int) -> Shapes:
    return {f"{name}/beta": (size,), f"{name}/gamma": (size,)}


def _layer(name: str, H: int, intermediate: int) -> Shapes:
    return {
        **_dense(f"{name}/attention/self/query", H, H),
        **_dense(f"{name}/attention/self/key", H, H),
        **_dense(f"{name}/attention/self/value", H, H),
        **_dense(f"{name}/attention/output/dense", H, H),
        **_norm(f"{name}/attention/output/LayerNorm", H),
        **_dense(f"{name}/intermediate/dense", H, intermediate),
        **_dense(f"{name}/output/dense", intermediate, H),
        **_norm(f"{name}/output/LayerNorm", H),
    }


def _embeddings(config: dict[str, object], word: int, size: int) -> Shapes:
    return {
        "bert/embeddings/word_embeddings": (config["vocab_size"], word),
        "bert/embeddings/position_embeddings": (config["max_position_embeddings"], size),
        "bert/embeddings/token_type_embeddings": (config["type_vocab_size"], size),
        **_norm("bert/embeddings/LayerNorm", size),
    }


def bert_shapes(config: dict[str, object]) -> Shapes:
    """Every variable of Google's BERT, with a head of pretraining, a global step and two optimizer slots."""
    H = config["hidden_size"]
    shapes = _embeddings(config, H, H) | _dense("bert/pooler/dense", H, H)
    for i in range(config["num_hidden_layers"]):
        shapes |= _layer(f"bert/encoder/layer_{i}", H, config["intermediate_size"])
    slots = {
        f"bert/encoder/layer_0/output/dense/kernel/{slot}": (config["intermediate_size"], H)
        for slot in ("adam_m", "adam_v")
    }
    return shapes | slots | {"cls/seq_relationship/output_weights": (2, H), "global_step": ()}


def albert_shapes(config: dict[str, object]) -> Shapes:
    """Every variable of Google's ALBERT (version 2), with a head of pretraining and a global step."""
    H, E, intermediate = config["hidden_size"], config["embedding_size"], config["intermediate_size"]
    shapes = _embeddings(config, E, E) | _dense("bert/pooler/dense", H, H)
    shapes |= _dense("bert/encoder/embedding_hidden_mapping_in", E, H)
    for g in range(config["num_hidden_groups"]):
        group = f"bert/encoder/transformer/group_{g}/inner_group_0"
        shapes |= {
            **_norm(f"{group}/LayerNorm", H),
            **_norm(f"{group}/LayerNorm_1", H),
            **_dense(f"{group}/attention_1/output/dense", H, H),
            **_dense(f"{group}/attention_1/self/key", H, H),
            **_dense(f"{group}/attention_1/self/query", H, H),
            **_dense(f"{group}/attention_1/self/value", H, H),
            **_dense(f"{group}/ffn_1/intermediate/dense", H, intermediate),
            **_dense(f"{group}/ffn_1/intermediate/output/dense", intermediate, H),
        }
    return shapes | {"cls/seq_relationship/output_weights": (2, H), "global_step": ()}


def brightmart_shapes(config: dict[str, object]) -> Shapes:
    """Every variable of albert_tiny_zh."""
    H, E = config["hidden_size"], config["embedding_size"]
    shapes = _embeddings(config, E, H) | {"bert/embeddings/word_embeddings_2": (E, H)}
    return (
        shapes | _layer("bert/encoder/layer_shared", H, config["intermediate_size"]) | _dense("bert/pooler/dense", H, H)
    )


def write_checkpoint(folder: Path, stem: str, shapes: Shapes, seed: int = 0) -> dict[str, np.ndarray]:
    """Save random tensors of these names and shapes as `<stem>.index` and `<stem>.data-…`."""
    generator = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        start = 1.0 if name.endswith("gamma") else 0.0
        tensors[name] = (start + generator.normal(0, 0.3, shape)).astype(np.float32)
    if "global_step" in tensors:
        tensors["global_step"] = np.asarray(1000, np.int64)
    tf.raw_ops.SaveV2(
        prefix=str(folder / stem),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(t) for t in tensors.values()],
    )
    for part in folder.glob(f"{stem}*.data-*"):
        assert part.name.endswith("data-00000-of-00001")
    return tensors


def write_google_folder(folder: Path, family: str) -> None:
    """A whole folder as the archives hold it: `bert`, `albert` or `brightmart`."""
    folder.mkdir(parents=True, exist_ok=True)
    config_name, stem, config, shapes = {
        "bert": ("bert_config.json", "bert_model.ckpt", BERT, bert_shapes),
        "albert": ("albert_config.json", "model.ckpt-best", ALBERT_XXLARGE, albert_shapes),
        "brightmart": ("albert_config_tiny.json", "albert_model.ckpt", BRIGHTMART, brightmart_shapes),
    }[family]
    (folder / config_name).write_text(json.dumps(config, indent=2))
    (folder / f"{stem}.meta").write_bytes(b"")  # archives hold the graph too; bert-for-tf2 looks for the file
    write_checkpoint(folder, stem, shapes(config))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(35))]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")


def run_bert_for_tf2(what: str, folders: Iterable[Path]) -> None:
    """Let bert-for-tf2 turn each folder's `in.npz` into `out.npz`, in a process of its own."""
    command = [sys.executable, str(SCRIPT), what, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]

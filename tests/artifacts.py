"""Tiny real models for tests: random weights, 2 layers of 8, a vocabulary that fits on a screen, truly published."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Core
from tokenizers import models, normalizers, pre_tokenizers

from retort.artifact import Artifact, publish
from retort.engine.predictor import run_encodings
from retort.engine.session import open_session
from retort.export.onnx import build_graph, save_graph
from retort.model.architecture import EncoderConfig, Weights
from retort.tasks import TASKS
from retort.tokenization.tokenizer import Tokenizer

LABELS = ("java", "python", "sql")
CREATED = datetime(2026, 1, 6, 22, 6, 23, tzinfo=UTC)
UNKNOWN = "[UNK]"
WORDS = ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789.,?!'-"]
PIECES = [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
VOCABULARY = [*WORDS, *PIECES, "how", "to", "the", "java", "python", "sql", "join", "list", "sort", "é", "你", "👍"]


TEXTS = ({"text": "how to sort the list"}, {"text": "join"})
PAIR = {"text": "java", "text_pair": "python ?"}


def tiny_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer that knows every ASCII letter, so that real words take several tokens."""
    core = Core(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token=UNKNOWN))
    core.normalizer = normalizers.BertNormalizer(strip_accents=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.add_special_tokens(["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"])
    return Tokenizer(core)


def tiny_config(**changes: Any) -> EncoderConfig:
    """A BERT of 2 layers, hidden 8."""
    sizes: dict[str, Any] = {
        "family": "bert",
        "vocab_size": len(VOCABULARY),
        "embedding_size": 8,
        "hidden_size": 8,
        "n_layers": 2,
        "n_groups": 2,
        "n_heads": 2,
        "intermediate_size": 16,
        "max_positions": 64,
        "pooling": "mean",
    }
    return EncoderConfig(**(sizes | changes))


def random_weights(config: EncoderConfig, n_labels: int = len(LABELS), seed: int = 0, scale: float = 0.5) -> Weights:
    """Every weight of the encoder and its classifier, far enough from zero that mistakes show."""
    c, rng = config, np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word": (c.vocab_size, c.embedding_size),
        "embeddings.position": (c.max_positions, c.embedding_size),
        "embeddings.token_type": (c.n_token_types, c.embedding_size),
        **_norm("embeddings.norm", c.embedding_size),
        **_dense("pooler", c.hidden_size, c.hidden_size),
        **_dense("classifier", c.hidden_size, n_labels),
    }
    if c.family == "albert":
        shapes |= _dense("embeddings.projection", c.embedding_size, c.hidden_size)
    for group in range(c.n_groups):
        for part in ("query", "key", "value", "output"):
            shapes |= _dense(f"layer.{group}.attention.{part}", c.hidden_size, c.hidden_size)
        shapes |= _norm(f"layer.{group}.attention.norm", c.hidden_size)
        shapes |= _dense(f"layer.{group}.ffn.intermediate", c.hidden_size, c.intermediate_size)
        shapes |= _dense(f"layer.{group}.ffn.output", c.intermediate_size, c.hidden_size)
        shapes |= _norm(f"layer.{group}.ffn.norm", c.hidden_size)
    drawn = {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}
    return {name: value + (1 if name.endswith("gamma") else 0) for name, value in drawn.items()}


def tiny_artifact(
    models_dir: Path,
    labels: Sequence[str] = LABELS,
    name: str = "tiny",
    seed: int = 0,
    created: datetime = CREATED,
    change: Callable[[Path], None] | None = None,
    **served: Any,
) -> Artifact:
    """Publish a tiny model; `served` overrules fields of `config.json`'s `retort` object, `change` edits the draft."""
    config, tokenizer = tiny_config(), tiny_tokenizer()
    retort = {"task": "classification", "max_seq_len": 16, "long_text": "head"} | served
    head = TASKS[retort["task"]].head if retort["task"] in TASKS else "pooled"

    def write(folder: Path) -> None:
        content = {
            "model_type": "bert",
            "id2label": {str(i): label for i, label in enumerate(labels)},
            "retort": retort,
        }
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        save_graph(build_graph(config, random_weights(config, len(labels), seed), head), folder / "model.onnx")
        _write_golden(folder, tokenizer, retort)
        if change is not None:
            change(folder)

    return publish(models_dir, name, write, created)


def tiny_entities(models_dir: Path, name: str = "entities", **served: Any) -> Artifact:
    """Publish a tiny model that finds (at random) LOC and PER."""
    task = "token_classification"
    labels = TASKS[task].label_names(("LOC", "PER"))
    return tiny_artifact(models_dir, labels, name, seed=5, **({"task": task, "long_text": "windows"} | served))


def _write_golden(folder: Path, tokenizer: Tokenizer, retort: dict[str, Any]) -> None:
    session = open_session(folder / "model.onnx", n_threads=1)
    task = TASKS[retort["task"]]
    lines = []
    for fields in TEXTS if retort["task"] == "token_classification" else (*TEXTS, PAIR):
        (encodings,) = task.encode([task.parse(fields)], tokenizer, retort["max_seq_len"], retort["long_text"])
        logits = task.join(encodings, run_encodings(session, encodings, tokenizer.pad_id))
        lines.append(json.dumps(fields | {"logits": logits.tolist()}) + "\n")
    (folder / "golden.jsonl").write_text("".join(lines), encoding="utf-8")


def _dense(name: str, n_in: int, n_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.kernel": (n_in, n_out), f"{name}.bias": (n_out,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.gamma": (size,), f"{name}.beta": (size,)}

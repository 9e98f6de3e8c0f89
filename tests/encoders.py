"""Tiny encoders to fine-tune, random and truly written."""

from pathlib import Path

from safetensors.numpy import save_file

from artifacts import random_weights, tiny_config, tiny_tokenizer
from retort.disk import write_json
from retort.model.hugging_face import OUR_FACTS, to_hugging_face, tokenizer_files

WIDER = {"hidden_size": 32, "embedding_size": 32, "intermediate_size": 64, "pooling": "cls"}  # enough to learn a word


def write_encoders(home: Path) -> Path:
    """Folders `bert` and `albert` as the Hugging Face ecosystem writes them."""
    for name, config in {
        "bert": tiny_config(**WIDER),
        "albert": tiny_config(family="albert", **WIDER | {"embedding_size": 16, "n_groups": 1}),
    }.items():
        folder = home / name
        folder.mkdir()
        described, state = to_hugging_face(
            config, random_weights(config, scale=0.2), ("a", "b", "c"), "single_label_classification"
        )
        del described[OUR_FACTS]
        write_json(folder / "config.json", described)
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        for file, content in tokenizer_files(tiny_tokenizer(), config, 64).items():
            (folder / file).write_text(content, encoding="utf-8")
    return home

"""A folder with a pretrained encoder becomes configuration, weights and tokenizer, whichever layout it has."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retort.errors import BadCheckpoint
from retort.model.architecture import Config, Weights
from retort.model.bilstm_folder import read_bilstm
from retort.model.configuration import read_json_object
from retort.model.google import find_google_config, read_google
from retort.model.hugging_face import read_hugging_face
from retort.model.vocabulary import load_sentence_piece, load_word_piece
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A pretrained encoder and the tokenizer it was trained with."""

    config: Config
    weights: Weights
    tokenizer: Tokenizer


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a folder in Hugging Face's layout or in Google's, or one that holds such a folder (archives do).

    Raises BadCheckpoint, naming the file or tensor: it is missing, damaged or not what the configuration asks for.
    """
    home = _find_home(folder)
    config, weights = _reader_of(home)(home)
    return Checkpoint(config, weights, load_vocabulary(home, config.vocab_size))


def _reader_of(home: Path) -> Callable[[Path], tuple[Config, Weights]]:
    if find_google_config(home):
        return read_google
    return _OUR_OWN.get(read_json_object(home / "config.json").get("model_type", ""), read_hugging_face)


_OUR_OWN: Mapping[object, Callable[[Path], tuple[Config, Weights]]] = {"bilstm": read_bilstm}


def load_vocabulary(folder: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer of a folder: `tokenizer.json`, else `vocab*.txt`, else a SentencePiece `*.model`.

    Raises BadCheckpoint: there is none, it is damaged, or it has more than `vocab_size` tokens.
    """
    settings: dict[str, Any] = {}
    if (file := folder / "tokenizer_config.json").exists():
        settings = read_json_object(file)
    lowercase = _flag(settings, "do_lower_case")
    file = _vocabulary_file(folder)
    if file.suffix == ".json":
        tokenizer = load_tokenizer(file)
    elif file.suffix == ".txt":
        tokenizer = load_word_piece(file, lowercase, _flag(settings, "strip_accents"))
    else:
        tokenizer = load_sentence_piece(file, lowercase, bool(settings.get("keep_accents")))
    if tokenizer.vocab_size > vocab_size:
        raise BadCheckpoint(
            f"{file} has {tokenizer.vocab_size} tokens, but the configuration beside it says vocab_size {vocab_size}: "
            "they belong to different models."
        )
    return tokenizer


def _vocabulary_file(folder: Path) -> Path:
    for pattern in ("tokenizer.json", "vocab*.txt", "*.model"):
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            raise BadCheckpoint(f"{folder} holds {len(found)} files {pattern}; expected one vocabulary.")
        if found:
            return found[0]
    raise BadCheckpoint(f"{folder} holds no vocabulary: expected tokenizer.json, vocab.txt or a SentencePiece *.model.")


def _find_home(folder: Path) -> Path:
    """The folder itself, or the one folder in it that holds a configuration."""
    if not folder.is_dir():
        raise BadCheckpoint(f"There is no folder {folder}.")
    inner = sorted(each for each in folder.iterdir() if each.is_dir() and _holds_config(each))
    if _holds_config(folder):
        return folder
    if len(inner) != 1:
        raise BadCheckpoint(
            f"{folder} holds no encoder: expected config.json (Hugging Face's layout) or bert_config.json or "
            "albert_config.json (Google's), there or in one folder below."
        )
    return inner[0]


def _holds_config(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return (folder / "config.json").is_file() or find_google_config(folder) is not None
    return False


def _flag(settings: dict[str, Any], key: str) -> bool | None:
    value = settings.get(key)
    return value if isinstance(value, bool) else None

"""A folder with a pretrained encoder becomes configuration, weights and tokenizer, whichever layout it has."""

from dataclasses import dataclass
from pathlib import Path

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights
from retort.model.hugging_face import read_hugging_face
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A pretrained encoder and the tokenizer it was trained with."""

    config: EncoderConfig
    weights: Weights
    tokenizer: Tokenizer


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a folder in Hugging Face's layout or in Google's; where it holds nothing but one folder, that one.

    Raises BadCheckpoint, naming the file or tensor: it is missing, damaged or not what the configuration asks for.
    """
    config, weights = read_hugging_face(folder)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    if tokenizer.vocab_size > config.vocab_size:
        raise BadCheckpoint(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the configuration says "
            f"vocab_size {config.vocab_size}; they belong to different models."
        )
    return Checkpoint(config, weights, tokenizer)

"""Text becomes token ids with character offsets.  Knows nothing of sequence length, padding or special-token layout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tokenizers

from retort.errors import BadCheckpoint


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text in tokens: `ids` (n,), and `offsets` (n,), the [start, end) of each token in characters of the text."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]


class Tokenizer:
    """A `tokenizers` model with padding, truncation and special tokens out of its hands.

    It is never changed after loading, so any number of threads may share it.
    """

    def __init__(self, core: tokenizers.Tokenizer) -> None:
        core.no_padding()
        core.no_truncation()
        core.encode_special_tokens = True  # "[SEP]" typed by a user stays text
        self._core = core
        self.cls_id = self._special("[CLS]")
        self.sep_id = self._special("[SEP]")
        self.pad_id = self._special("[PAD]", "<pad>")
        self.unknown_id = self._special("[UNK]", "<unk>")

    def _special(self, *names: str) -> int:
        for name in names:
            if (found := self._core.token_to_id(name)) is not None:
                return int(found)
        raise BadCheckpoint(f"The vocabulary has no {' or '.join(names)} token; BERT and ALBERT vocabularies do.")

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._core.get_vocab_size(with_added_tokens=True))

    @property
    def vocabulary(self) -> dict[str, int]:
        """The id of each token."""
        return dict(self._core.get_vocab(with_added_tokens=True))

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, without special tokens, uncut."""
        found = self._core.encode_batch(list(texts), add_special_tokens=False)
        return [Tokens(e.ids, e.offsets) for e in found]

    def tokenize_ids(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """The ids alone, which is a third faster."""
        return [e.ids for e in self._core.encode_batch_fast(list(texts), add_special_tokens=False)]

    def character_id(self, character: str) -> int:
        """The id of a character that is a token by itself; of an unknown one, the unknown token's."""
        return self._character_ids.get(character, self.unknown_id)

    @cached_property
    def _character_ids(self) -> dict[str, int]:
        """Asking the library for each character would take longer than the model that reads them."""
        return {token: i for token, i in self.vocabulary.items() if len(token) == 1}

    def to_json(self) -> str:
        """What `tokenizer.json` holds: `from_json` gives the same tokenizer back."""
        return str(self._core.to_str(pretty=True))

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Read what `to_json` wrote.

        Raises BadCheckpoint: it is not a `tokenizer.json`.
        """
        try:
            return cls(tokenizers.Tokenizer.from_str(text))
        except BadCheckpoint:
            raise
        except Exception as e:  # the library raises bare Exception
            raise BadCheckpoint(f"Not a tokenizer.json: {e}") from e


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises BadCheckpoint: the file is missing or is not one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as e:
        raise BadCheckpoint(f"Cannot read the tokenizer {path}: {e}") from e
    return Tokenizer.from_json(text)

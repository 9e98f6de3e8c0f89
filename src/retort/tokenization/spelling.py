"""Words become the ids of their characters, for models that spell words which they have never seen.

The vocabulary of such a model holds characters as tokens beside its words.
"""

from collections.abc import Sequence
from dataclasses import replace

from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer


def spell_encoding(encoding: Encoding, text: str, tokenizer: Tokenizer, n_characters: int) -> Encoding:
    """The encoding with the characters of its words, as the text has them: `n_characters` for each token, 0 where there
    is no more to read, as at tokens that begin no word."""
    characters: list[Sequence[int]] = [(0,) * n_characters] * len(encoding)
    for position, start, end in encoding.words:
        characters[position] = _spell(text[start:end], tokenizer, n_characters)
    return replace(encoding, characters=characters)


def _spell(word: str, tokenizer: Tokenizer, n_characters: int) -> list[int]:
    """Of a long word its beginning and, as its ending tells much, its last quarter."""
    if len(word) > n_characters:
        word = word[: n_characters - n_characters // 4] + word[len(word) - n_characters // 4 :]
    return [*map(tokenizer.character_id, word), *[0] * (n_characters - len(word))]

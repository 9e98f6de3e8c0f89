"""Texts become a tokenizer of whole words, for models that are trained from nothing.

Its vocabulary is, in this order: special tokens; every character of the texts, by which `spelling` spells words; and
words in lower case, the most frequent first.  What it does not hold is `[UNK]`.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from tokenizers import Tokenizer as Core
from tokenizers import models, normalizers, pre_tokenizers

from retort.tokenization.tokenizer import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
MAX_WORDS = 100_000


def build_word_tokenizer(
    texts: Sequence[str], min_count: int = 1, max_words: int = MAX_WORDS, more: Iterable[str] = ()
) -> tuple[Tokenizer, int]:
    """A tokenizer that knows the characters and words of `texts`, and how many ids specials and characters have.

    Words that occur at least `min_count` times are known, the `max_words` most frequent of them, and `more` words in
    lower case that are none of the texts' own.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    splitter = pre_tokenizers.BertPreTokenizer()
    plain = [normalizer.normalize_str(text) for text in texts]
    counts = Counter(word for text in plain for word, _ in splitter.pre_tokenize_str(text))
    frequent = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
    characters = sorted({c for c in chain.from_iterable([*texts, *plain]) if not _is_blank(c)})
    words = [word for word in chain(frequent[:max_words], more) if len(word) > 1 or word in characters]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*SPECIAL, *characters, *words]))}
    core = Core(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    core.normalizer, core.pre_tokenizer = normalizer, splitter
    core.add_special_tokens([*SPECIAL])
    return Tokenizer(core), len(SPECIAL) + len(characters)


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cc"

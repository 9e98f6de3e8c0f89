"""Encoders that need no pretraining: the texts that they shall learn from become a checkpoint to start at."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from retort.model.architecture import BilstmConfig
from retort.model.bilstm import draw_bilstm
from retort.model.checkpoint import Checkpoint
from retort.model.word_vectors import read_word_vectors
from retort.tokenization.words import build_word_tokenizer


def start_bilstm(
    texts: Sequence[str], say: Callable[[str], None], seed: int = 0, word_vectors: Path | None = None
) -> Checkpoint:
    """A bilstm that knows the words of `texts`; those in a file of word vectors start as these, and it knows the file's
    most frequent words too.  `say` is told how many there are.

    Raises BadUsage: the file is none of that kind.
    """
    tokenizer, n_known_characters = build_word_tokenizer(texts)
    if word_vectors is None:
        config = BilstmConfig(tokenizer.vocab_size, n_known_characters)
        return Checkpoint(config, draw_bilstm(config, seed), tokenizer)
    known = tokenizer.vocabulary
    vectors = read_word_vectors(word_vectors, known)
    tokenizer, n_known_characters = build_word_tokenizer(texts, more=vectors.rows)
    config = BilstmConfig(tokenizer.vocab_size, n_known_characters, embedding_size=vectors.size)
    weights, ids = draw_bilstm(config, seed), tokenizer.vocabulary
    for word, row in vectors.rows.items():
        if word in ids:
            weights["embeddings.word"][ids[word]] = row
    n_found = sum(word in vectors.rows for word in known)
    say(f"{word_vectors} holds {n_found:,} of the texts' {len(known):,} words, and {len(ids) - len(known):,} more.")
    return Checkpoint(config, weights, tokenizer)


# --model NAME -> what to start at
FROM_NOTHING: Mapping[str, Callable[..., Checkpoint]] = {"bilstm": start_bilstm}

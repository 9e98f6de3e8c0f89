"""Named entities: each word of a text gets a tag, and tags in a row become entities."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import dropwhile

import numpy as np

from retort.config import LongText
from retort.data.spans import Span
from retort.data.tags import OUTSIDE, extract_spans, list_tags
from retort.errors import InvalidInput
from retort.tasks.base import (
    Decoding,
    Entity,
    EntityPrediction,
    Fields,
    Floats,
    Gold,
    Input,
    Kind,
    Targets,
    Task,
    parse_text,
)
from retort.tasks.chain import Chain
from retort.tokenization.encoding import Encoding, Word
from retort.tokenization.tokenizer import Tokenizer
from retort.tokenization.wordwise import central_words, encode_words


class TokenClassification:
    """Any number of parts of a text are entities, each of one kind; they do not overlap."""

    name = "token_classification"
    head = "tokens"
    activation = "softmax"
    problem_type = "token_classification"
    pipeline_tag = "token-classification"
    answers: Kind = "entities"
    gold = "spans"
    long_text: LongText = "windows"

    def suit(self, multi_label: bool) -> Task:
        """Itself."""
        return self

    def label_names(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Tags: `O`, and of each kind `B-` for the first word of an entity and `I-` for the others."""
        return list_tags(labels)

    def labels_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The kinds of entities."""
        return tuple(dict.fromkeys(name[2:] for name in names if name != OUTSIDE))

    def parse(self, fields: Fields) -> Input:
        """Field `text` becomes an Input."""
        if fields.get("text_pair") is not None:
            raise InvalidInput("Expected one text, got a pair; this model finds entities in single texts.")
        return Input(parse_text(fields, "text"))

    def encode(
        self, inputs: Sequence[Input], tokenizer: Tokenizer, max_seq_len: int, long_text: LongText
    ) -> list[list[Encoding]]:
        """The encodings of each text: several for a long one under `windows`, one otherwise."""
        texts = [given.text for given in inputs]
        found = tokenizer.tokenize(texts)
        return [
            encode_words(text, tokens, tokenizer, max_seq_len, long_text)
            for text, tokens in zip(texts, found, strict=True)
        ]

    def join(self, encodings: Sequence[Encoding], rows: Sequence[Floats]) -> Floats:
        """Of each word (n_words, n_tags), from the window in which it is most central."""
        if len(encodings) == 1:
            return rows[0][[word.position for word in encodings[0].words]]
        found = [rows[index][word.position] for index, word in central_words(encodings)]
        return np.stack(found) if found else rows[0][:0]

    def decode(
        self, given: Input, encodings: Sequence[Encoding], logits: Floats, decoding: Decoding
    ) -> EntityPrediction:
        """The entities of the likeliest legal sequence of tags."""
        chain = chain_of(decoding)
        calibrated = logits / decoding.temperature
        tags = chain.viterbi(calibrated)
        if not tags.any():  # nothing but O
            return EntityPrediction(())
        spans = extract_spans([decoding.labels[tag] for tag in tags])
        probabilities = chain.span_probabilities(calibrated, [(start, end, tags[start]) for start, end, _ in spans])
        words = [word for _, word in central_words(encodings)]
        return EntityPrediction(
            tuple(
                _entity(given.text, words[start], words[end - 1], label, float(probability))
                for (start, end, label), probability in zip(spans, probabilities, strict=True)
            )
        )

    def targets(
        self, golds: Sequence[Gold], encodings: Sequence[Sequence[Encoding]], labels: Sequence[str]
    ) -> list[Targets]:
        """The tag of each word, for each text (n_words,) int64.  A word that an entity touches belongs to it; where two
        touch it, to the first."""
        index = {label: i for i, label in enumerate(labels)}
        return [
            _tag([word for _, word in central_words(windows)], gold, index)
            for gold, windows in zip(golds, encodings, strict=True)
        ]

    def spread(self, targets: Targets, encodings: Sequence[Encoding]) -> list[Targets]:
        """Each word has its tag in every window that it begins in; but where a later window begins within an entity,
        the rest of that is left to the window before, for no sequence of tags begins so."""
        tags = {word.start: tag for (_, word), tag in zip(central_words(encodings), targets, strict=True)}
        found = [np.full(len(encoding), -1, np.int64) for encoding in encodings]
        for index, (row, encoding) in enumerate(zip(found, encodings, strict=True)):
            words = dropwhile(lambda word: _goes_on(tags[word.start]), encoding.words) if index else encoding.words
            for word in words:
                row[word.position] = tags[word.start]
        return found


def _goes_on(tag: int) -> bool:
    """Whether it is an `I-`, which `list_tags` puts behind the `B-` of its kind."""
    return tag > 0 and tag % 2 == 0


@lru_cache(64)
def chain_of(decoding: Decoding) -> Chain:
    """What decides which tags follow each other, for logits that were divided by the temperature."""
    return (decoding.chain or Chain.for_tags(decoding.labels)).soften(decoding.temperature)


def _entity(text: str, first: Word, last: Word, label: str, probability: float) -> Entity:
    return Entity(label, text[first.start : last.end], first.start, last.end, probability)


def _tag(words: Sequence[Word], gold: Sequence[Span], index: dict[str, int]) -> Targets:
    tags = np.zeros(len(words), np.int64)
    at = 0
    for start, end, label in sorted(gold):
        while at < len(words) and words[at].end <= start:
            at += 1
        prefix = "B"
        while at < len(words) and words[at].start < end:
            tags[at] = index[f"{prefix}-{label}"]
            prefix, at = "I", at + 1
    return tags

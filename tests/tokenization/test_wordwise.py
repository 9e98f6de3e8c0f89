"""Texts become encodings that know their words, whatever the tokenizer makes of them."""

import pytest
from tokenizers import Tokenizer as Core
from tokenizers import models, normalizers, pre_tokenizers

from artifacts import tiny_tokenizer
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer
from retort.tokenization.wordwise import central_words, encode_words, find_words

TEXTS = {
    "two-day trip to   the U.S.": ["two", "-", "day", "trip", "to", "the", "U", ".", "S", "."],
    " @paul_walk #ff\tcan't ": ["@paul_walk", "#ff", "can", "'t"],
    "wait... what?!!": ["wait", "...", "what", "?", "!!"],
    "see http://t.co/Paris?x=1#y, www.a.b/c": ["see", "http://t.co/Paris?x=1#y,", "www.a.b/c"],
    "Ada's &amp; O'Neil n't 'so'": ["Ada", "'s", "&amp;", "O", "'", "Neil", "n", "'t", "'", "so", "'"],
    "ask ada.l+x@mail.org. a@b @ # c#": ["ask", "ada.l+x@mail.org", ".", "a", "@", "b", "@", "#", "c", "#"],
    "你好 java": ["你", "好", "java"],
    "naïve cafe\u0301s": ["naïve", "cafe\u0301s"],
    "👍👍 ok": ["👍👍", "ok"],
    "": [],
    " \t\n": [],
}


def words_of(text: str, tokenizer: Tokenizer) -> list[str]:
    (tokens,) = tokenizer.tokenize([text])
    return [text[word.start : word.end] for word in find_words(text, tokens.offsets)]


def metaspace_tokenizer() -> Tokenizer:
    pieces = [("[UNK]", 0.0), *[(c, -1.0) for c in "▁abcdefghijklmnopqrstuvwxyzUSC@#'-.,\u0301ïé"], ("▁t", -0.5)]
    core = Core(models.Unigram([*pieces, ("[CLS]", 0.0), ("[SEP]", 0.0), ("<pad>", 0.0), ("<unk>", 0.0)], unk_id=0))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    return Tokenizer(core)


@pytest.mark.parametrize("text", TEXTS)
def test_word_pieces_make_words(text: str) -> None:
    assert words_of(text, tiny_tokenizer()) == TEXTS[text]


def test_sentence_pieces_make_the_same_words() -> None:
    tokenizer = metaspace_tokenizer()
    for text in ("two-day trip to   the U.S.", " can't  stop", "t"):
        assert words_of(text, tokenizer) == words_of(text, tiny_tokenizer())


def test_one_character_in_several_pieces_keeps_its_word_whole() -> None:
    core = metaspace_tokenizer()._core
    core.normalizer = normalizers.NFKC()  # as ALBERT's
    for text in ("o\ufb03ce in", "\ufb01rst"):
        assert words_of(text, Tokenizer(core)) == text.split()


def encode(text: str, length: int, policy: str) -> list[Encoding]:
    tokenizer = tiny_tokenizer()
    (tokens,) = tokenizer.tokenize([text])
    return encode_words(text, tokens, tokenizer, length, policy)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["head", "head_tail", "windows"])
def test_positions_lead_to_the_first_token_of_each_word(policy: str) -> None:
    text = "how to sort the list, join a list, and sort it in sql or java"
    tokenizer = tiny_tokenizer()
    for encoding in encode(text, 12, policy):
        assert len(encoding) <= 12
        for position, start, end in encoding.words:
            (first, *_) = tokenizer.tokenize_ids([text[start:end]])[0]
            assert encoding.ids[position] == first


def test_windows_hold_every_word_and_the_most_central_one_is_asked() -> None:
    text = " ".join(f"w{i}" for i in range(30))
    encodings = encode(text, 14, "windows")
    assert len(encodings) > 3
    words = central_words(encodings)
    assert [text[word.start : word.end] for _, word in words] == text.split()
    for index, word in words:
        depth = min(word.position, len(encodings[index]) - 1 - word.position)
        for other in encodings:
            for same in other.words:
                if same.start == word.start:
                    assert min(same.position, len(other) - 1 - same.position) <= depth


def test_a_truncated_text_says_so_and_keeps_the_words_that_are_left() -> None:
    (encoding,) = encode("java python sql join list", 5, "head")
    assert encoding.truncated
    assert len(encoding.words) == 3

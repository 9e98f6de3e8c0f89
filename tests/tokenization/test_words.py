"""Texts become a vocabulary of specials, characters and words; words are found in lower case."""

from retort.tokenization.tokenizer import Tokenizer
from retort.tokenization.words import SPECIAL, build_word_tokenizer

TEXTS = ["Paris, in the rain", "The rain in Köln!", "PARIS the İstanbul\u0007 the"]


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    names = {i: token for token, i in tokenizer.vocabulary.items()}
    return [names[i] for i in tokenizer.tokenize([text])[0].ids]


def test_specials_come_first_then_characters_then_words_by_frequency() -> None:
    tokenizer, n_first = build_word_tokenizer(TEXTS)
    names = sorted(tokenizer.vocabulary, key=tokenizer.vocabulary.__getitem__)
    assert names[:4] == list(SPECIAL)
    assert set(names[4:n_first]) >= set("Parisintheö,!K")
    assert all(len(name) == 1 for name in names[4:n_first])
    assert names[n_first : n_first + 2] == ["the", "in"]
    assert all(len(name) > 1 for name in names[n_first:])
    assert len(names) == tokenizer.vocab_size


def test_every_character_of_texts_and_of_their_words_is_among_the_first() -> None:
    tokenizer, n_first = build_word_tokenizer(TEXTS)
    for text in [*TEXTS, *(t.lower() for t in TEXTS)]:
        for character in text:
            if character not in " \u0007\u0307":  # a blank, a control character, and the dot above
                assert 4 <= tokenizer.character_id(character) < n_first
    assert tokenizer.character_id("ж") == tokenizer.unknown_id == 1


def test_words_are_found_in_lower_case_and_offsets_are_the_texts() -> None:
    tokenizer, _ = build_word_tokenizer(TEXTS)
    assert tokens(tokenizer, "paris PARIS, KÖLN") == ["paris", "paris", ",", "köln"]
    text = "Seine in  Paris!"
    found = tokenizer.tokenize([text])[0]
    assert [text[start:end] for start, end in found.offsets] == ["Seine", "in", "Paris", "!"]
    assert found.ids[0] == tokenizer.unknown_id


def test_rare_words_are_unknown_where_that_is_asked_for() -> None:
    tokenizer, _ = build_word_tokenizer(TEXTS, min_count=2)
    assert tokens(tokenizer, "paris köln the") == ["paris", "[UNK]", "the"]
    fewest, _ = build_word_tokenizer(TEXTS, max_words=1)
    assert tokens(fewest, "the in") == ["the", "[UNK]"]


def test_more_words_come_behind_the_texts_own() -> None:
    tokenizer, _ = build_word_tokenizer(TEXTS, more=["london", "the", "ж"])
    assert tokens(tokenizer, "London") == ["london"]
    assert tokenizer.vocabulary["london"] == tokenizer.vocab_size - 1
    assert tokenizer.character_id("ж") == tokenizer.unknown_id  # no character of the texts, so it has no row


def test_special_tokens_in_a_text_stay_text_and_the_file_gives_the_same_tokenizer() -> None:
    tokenizer, _ = build_word_tokenizer([*TEXTS, "[SEP] sep"])
    again = Tokenizer.from_json(tokenizer.to_json())
    for text in ["[SEP] paris", "in the [PAD] 🙂", ""]:
        assert tokens(tokenizer, text) == tokens(again, text)
    assert tokens(tokenizer, "[SEP]") == ["[", "sep", "]"]


def test_no_texts_have_no_words() -> None:
    tokenizer, n_first = build_word_tokenizer([])
    assert (tokenizer.vocab_size, n_first) == (4, 4)
    assert tokens(tokenizer, "word") == ["[UNK]"]

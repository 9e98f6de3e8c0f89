"""The tokenizer's contract: ids and offsets of text, nothing of length, padding or special tokens."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from retort.errors import BadCheckpoint
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer

WORDS = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "é"])}


def core(words: dict[str, int] = WORDS) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.WordLevel(words, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens([word for word in words if word.startswith("[")])
    return made


def test_padding_and_truncation_of_a_file_are_reset(tmp_path: Path) -> None:
    made = core()
    made.enable_padding(length=128)
    made.enable_truncation(2)
    made.save(str(tmp_path / "tokenizer.json"))
    tokens = load_tokenizer(tmp_path / "tokenizer.json").tokenize(["a b a b a", "b"])
    assert [list(t.ids) for t in tokens] == [[4, 5, 4, 5, 4], [5]]


def test_special_tokens_typed_by_users_stay_text() -> None:
    (tokens,) = Tokenizer(core()).tokenize(["a [SEP] b"])
    assert list(tokens.ids) == [4, 1, 1, 1, 5]


def test_offsets_count_characters_not_bytes() -> None:
    (tokens,) = Tokenizer(core()).tokenize(["é 🙂 b"])
    assert list(tokens.offsets) == [(0, 1), (2, 3), (4, 5)]


def test_texts_may_be_empty_or_none_at_all() -> None:
    tokenizer = Tokenizer(core())
    assert tokenizer.tokenize([]) == []
    assert [list(t.ids) for t in tokenizer.tokenize(["", "   "])] == [[], []]


def test_many_threads_share_one_tokenizer() -> None:
    tokenizer = Tokenizer(core())
    texts = [["a " * n, "b"] for n in range(1, 200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokenizer.tokenize, texts))
    assert [len(first.ids) for first, _ in found] == list(range(1, 200))


def test_its_json_gives_it_back() -> None:
    tokenizer = Tokenizer(core())
    again = Tokenizer.from_json(tokenizer.to_json())
    assert (again.cls_id, again.sep_id, again.pad_id, again.vocab_size) == (2, 3, 0, 7)


@pytest.mark.parametrize("missing", ["[PAD]", "[CLS]", "[SEP]"])
def test_a_vocabulary_without_a_special_token_is_refused(missing: str) -> None:
    with pytest.raises(BadCheckpoint, match=missing[1:-1]):
        Tokenizer(core({word: i for word, i in WORDS.items() if word != missing}))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff", b'{"model": {"type": "Unheard"}}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BadCheckpoint):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = Tokenizer(core()).to_json()
    (tmp_path / "tokenizer.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")
    assert json.loads(whole)["model"]["type"] == "WordLevel"

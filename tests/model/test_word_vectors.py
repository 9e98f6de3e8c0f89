"""Word vectors are read as fastText and GloVe write them."""

import gzip
from pathlib import Path

import pytest

from retort.errors import BadUsage
from retort.model.scratch import start_bilstm
from retort.model.word_vectors import read_word_vectors

LINES = ["the 1 0", "Paris 2 2", "paris 3 3", "PARIS 4 4", ". . 5 5", "Rome 6 6", "rome? 7 7", "ROME 8 8"]


@pytest.mark.parametrize("header", [[], ["8 2"]], ids=["GloVe", "fastText"])
@pytest.mark.parametrize("name", ["vectors.txt", "vectors.vec.gz"])
def test_lower_case_counts_and_else_the_first(tmp_path: Path, header: list[str], name: str) -> None:
    content = "\n".join([*header, *LINES]).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    vectors = read_word_vectors(tmp_path / name, {"the", "paris", "rome"}, max_more=0)
    assert vectors.size == 2
    assert {word: row.tolist() for word, row in vectors.rows.items()} == {
        "the": [1, 0], "paris": [3, 3], "rome": [6, 6],
    }  # fmt: skip


def test_the_first_other_words_come_too(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("\n".join(LINES))
    vectors = read_word_vectors(tmp_path / "v.txt", {"rome"}, max_more=2)
    assert {*vectors.rows} == {"the", "paris", "rome"}
    assert vectors.rows["paris"].tolist() == [3, 3]


@pytest.mark.parametrize("start", ["\ufeff", "\n\n", "\ufeff8 2\n \n"])
def test_a_byte_order_mark_and_blank_lines_are_no_words(tmp_path: Path, start: str) -> None:
    (tmp_path / "plain.txt").write_text("\n".join(LINES))
    (tmp_path / "v.txt").write_text(start + "\n\n".join(LINES) + "\n \n", encoding="utf-8")
    plain, found = (read_word_vectors(tmp_path / name, {"the"}).rows for name in ("plain.txt", "v.txt"))
    assert {word: row.tolist() for word, row in found.items()} == {word: row.tolist() for word, row in plain.items()}


@pytest.mark.parametrize("bad", ["the 1 0\nParis 2", "the 1 0\nParis 2 x", "the 1 0\nParis 2 nan", "word\n", ""])
def test_what_is_no_such_file_is_refused(tmp_path: Path, bad: str) -> None:
    (tmp_path / "v.txt").write_text(bad)
    with pytest.raises(BadUsage, match=r"v\.txt"):
        read_word_vectors(tmp_path / "v.txt", {"the", "paris", "word"})
    with pytest.raises(BadUsage, match=r"missing\.txt"):
        read_word_vectors(tmp_path / "missing.txt", {"the"})


def test_a_bilstm_starts_at_the_vectors_of_its_words(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("\n".join(LINES))
    said: list[str] = []
    checkpoint = start_bilstm(["The rain in Paris", "a"], said.append, word_vectors=tmp_path / "v.txt")
    table, ids = checkpoint.weights["embeddings.word"], checkpoint.tokenizer.vocabulary
    assert checkpoint.config.embedding_size == table.shape[1] == 2
    assert table[ids["paris"]].tolist() == [3, 3]
    assert table[ids["rome"]].tolist() == [6, 6]
    assert table.shape[0] == checkpoint.tokenizer.vocab_size
    assert said == [f"{tmp_path / 'v.txt'} holds 2 of the texts' 4 words, and 1 more."]

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from retort.data.readers import Table
from retort.data.spans import Span
from retort.data.tagged import BROKEN, read_tagged
from retort.errors import BadData

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the public data sets are not on this machine")
TWO = "Ada\tB-per\nLovelace\tI-per\nleft\tO\nNew\tB-loc\nYork\tI-loc\n\nNobody\tO\n"


def table_of(folder: Path, content: str | bytes, name: str = "a.conll", **columns: str) -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_tagged(path, **columns)


def marked(table: Table) -> list[tuple[str, ...]]:
    """Each text, then `covered: label` of each span."""
    return [
        (text, *(f"{text[s.start : s.end]}: {s.label}" for s in row.spans))
        for row in table.rows
        for text in [row.fields["text"]]
    ]


def error_of(folder: Path, content: str | bytes, name: str = "a.conll", **columns: str) -> str:
    with pytest.raises(BadData) as e:
        table_of(folder, content, name, **columns)
    assert str(folder / name) in str(e.value)
    return str(e.value)


FOUND = [("Ada Lovelace left New York", "Ada Lovelace: per", "New York: loc"), ("Nobody",)]


def test_sentences_become_rows_with_spans_of_characters(tmp_path: Path) -> None:
    table = table_of(tmp_path, TWO)
    assert marked(table) == FOUND
    assert table.rows[0].spans == (Span(0, 12, "per"), Span(18, 26, "loc"))
    assert [(row.labels, row.line) for row in table.rows] == [(("loc", "per"), 1), ((), 7)]
    assert (table.dropped, table.repaired, table.columns, table.multi_label) == ({}, {}, {}, True)
    assert not table_of(tmp_path, "Ada B-per\n\nBob B-per\n").multi_label


@pytest.mark.parametrize("name", ["a.bio", "a.iob2", "a.txt", "a.tsv", "emerging.annotated", "no_suffix"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    assert marked(table_of(tmp_path, TWO, name)) == FOUND
    assert marked(table_of(tmp_path, gzip.compress(TWO.encode()), name + ".gz")) == FOUND


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + TWO.replace("\n", "\r\n"),
        TWO.replace("\t", "   "),
        TWO.replace("\n\n", "\n\t\n \t \n\n"),
        "-DOCSTART-\tO\n\n" + TWO.replace("\n\n", "\n-DOCSTART-\tO\n"),
        TWO.replace("\n", "\t\n").replace("\t", " \t "),
        "# newdoc\n# id = 3\n#\n" + TWO.replace("\n\n", "\n# text = Nobody\n\n"),
        "#begin document (a); part 000\n" + TWO + "\n#end document",
        TWO.rstrip("\n"),
    ],
)
def test_line_ends_blanks_documents_and_comments_are_no_part_of_the_data(tmp_path: Path, content: str) -> None:
    assert [found for found in marked(table_of(tmp_path, content)) if found != ("",)] == FOUND


def test_words_may_begin_with_a_hash(tmp_path: Path) -> None:
    for separator in ("\t", " "):
        content = "#one B-x\n# O\n#two O\n\nAda B-x\n# a comment\n# note\n".replace(" B", separator + "B")
        content = content.replace(" O", separator + "O")
        assert marked(table_of(tmp_path, content)) == [("#one # #two", "#one: x"), ("Ada", "Ada: x")]
    assert marked(table_of(tmp_path, "#one\tB-x\n#two\tI-x\n\n")) == [("#one #two", "#one #two: x")]


def test_words_keep_white_space_of_other_kinds(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a\u00a0b\tB-x\nc\u2028d\tO\nNew York\tB-y\n")
    assert marked(table) == [("a\u00a0b c\u2028d New York", "a\u00a0b: x", "New York: y")]
    assert marked(table_of(tmp_path, "a\u00a0b B-x\nc O\n")) == [("a\u00a0b c", "a\u00a0b: x")]


def test_columns_are_the_first_and_the_last_or_those_that_are_given(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O O\n\nAda NNP I-NP I-per\nleft VBD I-VP O\n"
    assert marked(table_of(tmp_path, content)) == [("Ada left", "Ada: per")]
    table = table_of(tmp_path, content, label_column="3")
    assert marked(table) == [("Ada left", "Ada: NP", "left: VP")]
    assert table.columns == {"label": "3"}
    assert marked(table_of(tmp_path, "1 O Ada\n2 B-x left\n", text_column="3", label_column="2"))[0][1] == "left: x"


def test_each_scheme_is_recognised_and_broken_tags_are_counted(tmp_path: Path) -> None:
    old = table_of(tmp_path, "Ada I-per\nBob B-per\nleft O\n\nYork I-loc\n")
    assert marked(old) == [("Ada Bob left", "Ada: per", "Bob: per"), ("York", "York: loc")]
    assert old.repaired == {}
    broken = table_of(tmp_path, "Ada I-per\nleft O\n\nYork B-loc\nCity I-per\n")
    assert marked(broken) == [("Ada left", "Ada: per"), ("York City", "York: loc", "City: per")]
    assert broken.repaired == {BROKEN: 2}
    ends = table_of(tmp_path, "Ada S-per\nleft O\nNew B-loc\nYork I-loc\nfor O\nBob U-per\n")
    assert marked(ends)[0][1:] == ("Ada: per", "New York: loc", "Bob: per")
    assert ends.repaired == {BROKEN: 1}


@pytest.mark.parametrize(
    ("content", "columns", "says"),
    [
        ("Ada\tB-per\nleft\n", {}, "line 2: expected 2 columns separated by tabs"),
        ("Ada B-per\nNew York O\n", {}, "line 2: expected 2 columns separated by blanks"),
        ("Ada NNP\nleft VBD\n", {}, "line 1: expected a tag such as O or B-person in column 2, got 'NNP'"),
        ("Ada B-per\n#left X\n", {}, "line 2: expected a tag"),
        ("A sentence.\n", {}, "line 1: expected a tag"),
        ("Sentence.\n", {}, "line 1: expected a word and its tag"),
        ("# nothing\n\n", {}, "0 without a span"),
        ("Ada B-per\n", {"label_column": "3"}, "a column from 1 to 2, got '3'"),
        ("Ada B-per\n", {"label_column": "0"}, "from 1 to 2"),
        ("Ada B-per\n", {"label_column": "tag"}, "got 'tag'"),
        ("Ada B-per\n", {"label_column": "9" * 10_000}, "from 1 to 2"),
        ("Ada B-per\n", {"label_column": "1"}, "cannot be both"),
        ("Ada O\n\nBob O\n", {}, "2 without a span"),
        ("", {}, "is empty"),
        (" \n\t\n", {}, "is empty"),
        ("Ada\tB-per\nB\xe9b\tO\n".encode("latin-1"), {}, "line 2: byte 0xe9"),
        ("Ada\tB-per\n".encode("utf-16"), {}, "UTF-16"),
    ],
)
def test_what_cannot_be_read_is_told_with_file_and_line(
    tmp_path: Path, content: str | bytes, columns: dict[str, str], says: str
) -> None:
    message = error_of(tmp_path, content, **columns)
    assert says in message
    assert len(message) < 500


def test_missing_files_csv_and_second_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no file"):
        read_tagged(tmp_path / "gone.conll")
    assert "is CSV" in error_of(tmp_path, TWO, "a.csv")
    assert "not gzip" in error_of(tmp_path, TWO, "a.conll.gz")
    (tmp_path / "a.conll").write_text(TWO)
    with pytest.raises(BadData, match="--text-pair-column"):
        read_tagged(tmp_path / "a.conll", text_pair_column="x")


def test_damaged_files_give_rows_or_one_kind_of_error(tmp_path: Path) -> None:
    rng, content = random.Random(0), TWO.encode()  # noqa: S311
    pieces = (b"\n", b"\t", b" ", b"#", b"\0", b"\xff", b"\r", b"B-", b"-DOCSTART-", b"\xe2\x80\xa8", b"O", b"{", b"")
    outcomes: Counter[str] = Counter()
    for _ in range(600):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 5)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randrange(3)] = rng.choice(pieces)
        try:
            table = table_of(tmp_path, bytes(damaged))
        except BadData:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            for row in table.rows:
                assert all(0 <= s.start < s.end <= len(row.fields["text"]) for s in row.spans)
    assert min(outcomes.values()) > 50


@needs_shared
@pytest.mark.parametrize(
    ("name", "n_sentences", "n_entities"),
    [("wnut17train.conll", 3394, 1975), ("emerging.dev.conll", 1009, 836), ("emerging.test.annotated", 1287, 1079)],
)
def test_wnut17_is_read_whole(name: str, n_sentences: int, n_entities: int) -> None:
    path = SHARED / "wnut17" / name
    table = read_tagged(path)
    assert len(table.rows) == n_sentences
    assert sum(len(row.spans) for row in table.rows) == n_entities
    assert (table.dropped, table.repaired) == ({}, {})
    words = [line.split("\t")[0] for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    assert " ".join(row.fields["text"] for row in table.rows) == " ".join(words)

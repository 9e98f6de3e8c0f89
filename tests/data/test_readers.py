import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from retort.data.readers import Table, read_table
from retort.errors import BadData

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the public data sets are not on this machine")
CSV = "text,label\nHow do I sort?,python\nWhy is it null?,java\n"


def table_of(folder: Path, name: str, content: str | bytes, **columns: str) -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, **columns)


def pairs_of(table: Table) -> list[tuple[str, ...]]:
    return [(row.fields["text"], *row.labels) for row in table.rows]


def write_parquet(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def error_of(folder: Path, name: str, content: str | bytes, **columns: str) -> str:
    with pytest.raises(BadData) as e:
        table_of(folder, name, content, **columns)
    assert str(folder / name) in str(e.value)
    return str(e.value)


# --- formats


def test_all_formats_give_the_same_rows(tmp_path: Path) -> None:
    rows = [("How do I sort?", "python"), ("Why “null”,\ttab?", "java")]
    jsonl = "\n".join(json.dumps({"text": t, "label": label}) for t, label in rows)
    files = {
        "a.csv": 'text,label\nHow do I sort?,python\n"Why “null”,\ttab?",java\n',
        "a.CSV.gz": gzip.compress('text,label\nHow do I sort?,python\n"Why “null”,\ttab?",java\n'.encode()),
        "a.jsonl": jsonl,
        "a.ndjson": jsonl + "\n\n",
        "a.jsonl.gz": gzip.compress(jsonl.encode()),
    }
    for name, content in files.items():
        assert pairs_of(table_of(tmp_path, name, content)) == rows, name
    path = write_parquet(tmp_path / "a.parquet", text=[t for t, _ in rows], label=[label for _, label in rows])
    assert pairs_of(read_table(path)) == rows
    assert pairs_of(table_of(tmp_path, "a.parquet.gz", gzip.compress(path.read_bytes()))) == rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_are_no_part_of_the_data(tmp_path: Path, end: str) -> None:
    for name, separator in (("a.csv", ","), ("a.tsv", "\t")):
        lines = [separator.join(p) for p in (("text", "label"), ("héllo", "a"), ("wörld", "b"))]
        table = table_of(tmp_path, name, b"\xef\xbb\xbf" + end.join(lines).encode())
        assert pairs_of(table) == [("héllo", "a"), ("wörld", "b")]
        assert table.columns == {"text": "text", "label": "label"}
    marked = b"\xef\xbb\xbf" + end.join(['{"text": "x", "label": "a"}'] * 2).encode()
    assert len(table_of(tmp_path, "a.jsonl", marked).rows) == 2


def test_csv_keeps_quoted_newlines_and_counts_lines_of_the_file(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a.csv", 'text,label\n"one\ntwo ""quoted""\n",a\n\nthree,b\n')
    assert [(r.fields["text"], r.line) for r in table.rows] == [('one\ntwo "quoted"\n', 2), ("three", 6)]


def test_csv_takes_huge_fields_and_leaves_the_limit_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = table_of(tmp_path, "a.csv", f"text,label\n{'x' * 3_000_000},a\n")
    assert len(table.rows[0].fields["text"]) == 3_000_000
    assert csv.field_size_limit() == before


def test_quotes_are_text_in_tsv_and_a_lone_carriage_return_too(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a.tsv", 'label\ttext\nham\t"Ok, said he\nspam\t6" of\rsnow""\n')
    assert pairs_of(table) == [('"Ok, said he', "ham"), ('6" of\rsnow""', "spam")]


def test_control_characters_and_nul_survive(tmp_path: Path) -> None:
    text = "a\0b\x07c\u200bd\ufeff\u2028e\x85f"
    for name, content in (
        ("a.csv", f"text,label\n{text},a\n"),
        ("a.tsv", f"text\tlabel\n{text}\ta\n"),
        ("a.jsonl", json.dumps({"text": text, "label": "a"}, ensure_ascii=False)),
    ):
        assert table_of(tmp_path, name, content).rows[0].fields["text"] == text, name


def test_unknown_suffix_is_read_where_its_beginning_tells(tmp_path: Path) -> None:
    assert pairs_of(table_of(tmp_path, "SMSSpam", "Label\tSMS\nham\tOk lar\n")) == [("Ok lar", "ham")]
    assert pairs_of(table_of(tmp_path, "a.json", '{"text": "Ok", "label": "a"}\n')) == [("Ok", "a")]


@pytest.mark.parametrize("content", [CSV, "[]", b"PK\x03\x04\0\t\n", b"\x89PNG\r\n"])
def test_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, content: str | bytes) -> None:
    message = error_of(tmp_path, "a.xlsx", content)
    assert ".csv .tsv" in message
    assert ".parquet" in message


def test_jsonl_columns_are_those_of_all_objects(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a.jsonl", '{"text": "x"}\n{"label": "a", "text": "y", "extra": {"deep": [1]}}\n')
    assert pairs_of(table) == [("y", "a")]
    assert table.dropped == {"no label": 1}


def test_parquet_reads_only_the_columns_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    wide = pa.table({"text": ["x", "y"], "a.b": ["1", "2"], "vector": [[0.5], [0.5]], "label": [3, 4]})
    parquet.write_table(wide.set_column(3, "label", wide["label"].dictionary_encode()), path)
    assert [(r.fields["text"], r.labels, r.line) for r in read_table(path).rows] == [("x", ("3",), 1), ("y", ("4",), 2)]
    assert [r.labels for r in read_table(path, label_column="a.b").rows] == [("1",), ("2",)]


# --- columns


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("post,tags", {"text": "post", "label": "tags"}),
        ("text,category", {"text": "text", "label": "category"}),
        ("id, Question ,INTENT", {"text": " Question ", "label": "INTENT"}),
        ("Sentence1,Sentence2,gold", {"text": "Sentence1", "text_pair": "Sentence2", "label": "gold"}),
        ("premise,hypothesis,label", {"text": "premise", "text_pair": "hypothesis", "label": "label"}),
        ("text,text_pair,label", {"text": "text", "text_pair": "text_pair", "label": "label"}),
        ("question,sentence,label", {"text": "question", "label": "label"}),
    ],
)
def test_columns_are_guessed(tmp_path: Path, header: str, columns: dict[str, str]) -> None:
    assert table_of(tmp_path, "a.csv", f"{header}\n{header}\n").columns == columns


def test_given_columns_win_over_guesses(tmp_path: Path) -> None:
    content = "text,other,label,kind\nx,y,a,b\n"
    table = table_of(tmp_path, "a.csv", content, text_column="OTHER", label_column="kind")
    assert pairs_of(table) == [("y", "b")]
    table = table_of(tmp_path, "a.csv", content, text_pair_column="other")
    assert table.rows[0].fields == {"text": "x", "text_pair": "y"}
    pairs = "sentence1,sentence2,label\nx,y,a\n"
    assert table_of(tmp_path, "b.csv", pairs, text_column="sentence2").rows[0].fields == {"text": "y"}
    assert table_of(tmp_path, "b.csv", pairs, label_column="sentence2").rows[0].fields == {"text": "x"}


@pytest.mark.parametrize(
    ("header", "given", "says"),
    [
        ("foo,bar", {}, "'foo', 'bar'"),
        ("text,bar", {}, "label column"),
        ("text,label", {"text_column": "nope"}, "'text', 'label'"),
        ("text,label", {"text_pair_column": "nope"}, "text pair column 'nope'"),
        ("text,label", {"text_column": "label", "label_column": "label"}, "two parts"),
        ("text,text,label", {}, "'text' is there more than once"),
        ("Text,TEXT,label", {}, "--text-column"),
        ("text;label", {}, "separated by ';'"),
    ],
)
def test_wrong_columns_are_refused_with_those_present(tmp_path: Path, header: str, given: Any, says: str) -> None:
    assert says in error_of(tmp_path, "a.csv", f"{header}\n{header}\n", **given)


def test_a_file_without_header_is_told_so_in_a_short_message(tmp_path: Path) -> None:
    message = error_of(tmp_path, "a.tsv", "ham\t" + "Go until jurong point " * 50 + "\nspam\tFree\n")
    assert "in the first line" in message
    assert len(message) < 600


# --- labels


@pytest.mark.parametrize(
    ("value", "labels", "multi_label"),
    [
        ("java", ("java",), False),
        ("  java ", ("java",), False),
        ("C|C++", ("C", "C++"), True),
        (" a | b |a|", ("a", "b"), True),
        ("a|", ("a",), False),
        ('["a", "b"]', ("a", "b"), True),
        ('["a|b"]', ("a|b",), True),
        ("[]", (), True),
        ("[1, 2]", ("1", "2"), True),
        ("[other]", ("[other]",), False),
        ("[", ("[",), False),
    ],
)
def test_labels_as_text(tmp_path: Path, value: str, labels: tuple[str, ...], multi_label: bool) -> None:
    table = table_of(tmp_path, "a.tsv", f"text\tlabel\nx\t{value}\n")
    assert (table.rows[0].labels, table.multi_label) == (labels, multi_label)


@pytest.mark.parametrize(
    ("value", "labels", "multi_label"),
    [
        (1, ("1",), False),
        (-1.0, ("-1",), False),
        (0.5, ("0.5",), False),
        (True, ("true",), False),
        (["a", "b", "a"], ("a", "b"), True),
        ([True, False], ("true", "false"), True),
        ([], (), True),
    ],
)
def test_labels_as_json(tmp_path: Path, value: object, labels: tuple[str, ...], multi_label: bool) -> None:
    table = table_of(tmp_path, "a.jsonl", json.dumps({"text": "x", "label": value}))
    assert (table.rows[0].labels, table.multi_label) == (labels, multi_label)
    table = read_table(write_parquet(tmp_path / "a.parquet", text=["x"], label=pa.array([value])))
    assert (table.rows[0].labels, table.multi_label) == (labels, multi_label)


def test_whole_numbers_stay_whole_where_a_gap_made_the_column_floats(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=["x", "y", "z"], label=[1.0, float("nan"), None])
    assert pairs_of(read_table(path)) == [("x", "1")]
    assert read_table(path).dropped == {"no label": 2}


def test_rows_without_text_or_label_are_dropped_and_counted(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a.csv", 'text,label\n \u3000\t,a\n,\n"\n",b\nx,\nx, | \nx,a\n')
    assert pairs_of(table) == [("x", "a")]
    assert table.dropped == {"empty text": 3, "no label": 2}
    table = table_of(tmp_path, "a.jsonl", '{"text": null, "label": "a"}\n{"text": "x", "label": 0}\n')
    assert table.dropped == {"empty text": 1}
    pairs = table_of(tmp_path, "b.csv", "text_a,text_b,label\nx, ,a\nx,y,a\n")
    assert pairs.dropped == {"empty text": 1}


def test_only_dropped_rows_are_an_error_that_counts_them(tmp_path: Path) -> None:
    assert "2 with empty text, 1 with no label" in error_of(tmp_path, "a.csv", "text,label\n ,a\n,b\nx,\n")


# --- bad files


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no file .*gone\.csv"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(BadData, match="a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_empty_files_are_told(tmp_path: Path, name: str) -> None:
    assert "is empty" in error_of(tmp_path, name, "")
    assert "is empty" in error_of(tmp_path, name + ".gz", gzip.compress(b""))
    if name != "a.parquet":
        assert "is empty" in error_of(tmp_path, name, "\n\r\n \n")
        assert "is empty" in error_of(tmp_path, name, b"\xef\xbb\xbf")


def test_a_header_alone_is_told(tmp_path: Path) -> None:
    assert "no row" in error_of(tmp_path, "a.csv", "text,label\n")
    assert "no row" in error_of(tmp_path, "a.tsv", "text\tlabel")
    path = write_parquet(tmp_path / "a.parquet", text=pa.array([], pa.string()), label=pa.array([], pa.string()))
    with pytest.raises(BadData, match="no row"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", "text,label\nx,a\nx\n", 3),
        ("a.csv", "text,label\nx,a,b\n", 2),
        ("a.csv", 'text,label\n"x\ny",a\n"z" w,a\n', 4),
        ("a.csv", 'text,label\nx,a\n"never closed,a\nx,a\n', 3),
        ("a.csv", "text,label\nx,['a']\n", 2),
        ("a.tsv", "text\tlabel\n\nx\ta\tb\n", 3),
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": \n', 2),
        ("a.jsonl", '{"text": "x", "label": "a"}\n["x", "a"]\n', 2),
        ("a.jsonl", '[{"text": "x", "label": "a"}]', 1),
        ("a.jsonl", "[" * 100_000, 1),
        ("a.jsonl", '{"text": "x", "text": "y", "label": "a"}', 1),
        ("a.jsonl", '{"text": 1, "label": "a"}', 1),
        ("a.jsonl", '{"text": "x", "label": {}}', 1),
        ("a.jsonl", '{"text": "x", "label": ["a", null]}', 1),
        ("a.jsonl", '{"text": "x", "label": [["a"]]}', 1),
        ("a.jsonl", '{"text": "\\ud83d", "label": "a"}', 1),
        ("a.jsonl", '{"text": "x", "label": "\\ud83d"}', 1),
        ("a.jsonl", '{"text": "x", "label": ' + "9" * 5000 + "}", 1),
    ],
)
def test_a_broken_row_is_told_with_its_line(tmp_path: Path, name: str, content: str, line: int) -> None:
    assert f"line {line}: " in error_of(tmp_path, name, content)


def test_a_wrong_encoding_is_told_with_line_and_offset(tmp_path: Path) -> None:
    long = b"text,label\n" + b"plain text,a\n" * 10_000
    message = error_of(tmp_path, "a.csv", long + "caffè,a\n".encode("latin-1"))
    assert f"line 10002: byte 0xe8 at offset {len(long) + 4}" in message
    assert "line 2" in error_of(tmp_path, "a.tsv", b"text\tlabel\n\xff\ta\n")
    assert "line 1" in error_of(tmp_path, "a.jsonl", b'{"text": "\xe9", "label": "a"}')
    assert "UTF-16" in error_of(tmp_path, "a.csv", CSV.encode("utf-16"))
    assert "gzip" in error_of(tmp_path, "a.csv", gzip.compress(CSV.encode()))
    assert "line 2" in error_of(tmp_path, "a.csv.gz", gzip.compress(b"text,label\n\xff,a\n"))


def test_gzip_that_is_none_or_cut_short_is_told(tmp_path: Path) -> None:
    assert "not gzip" in error_of(tmp_path, "a.csv.gz", CSV)
    whole = gzip.compress(b"text,label\n" + b"".join(b"some words %d,a\n" % i for i in range(10_000)))
    assert "cut short" in error_of(tmp_path, "a.csv.gz", whole[: len(whole) // 2])
    assert error_of(tmp_path, "a.csv.gz", gzip.compress(b"text,label\n\xff,a\n")[:-4])  # both faults at once
    damaged = bytearray(whole)
    damaged[200] ^= 255
    assert "a.csv.gz" in error_of(tmp_path, "a.csv.gz", bytes(damaged))


def test_parquet_that_is_none_or_damaged_is_told(tmp_path: Path) -> None:
    assert "Parquet" in error_of(tmp_path, "a.parquet", CSV)
    whole = write_parquet(tmp_path / "b.parquet", text=["x"] * 100, label=["a"] * 100).read_bytes()
    assert "Parquet" in error_of(tmp_path, "a.parquet", whole[:-20])
    broken = bytearray(whole)
    broken[4:60] = b"\xff" * 56
    assert error_of(tmp_path, "a.parquet", bytes(broken))
    assert "Parquet" in error_of(tmp_path, "a.csv", whole)
    binary = write_parquet(tmp_path / "c.parquet", text=[b"x"], label=["a"])
    with pytest.raises(BadData, match="line 1: expected 'text' to be a string, got bytes"):
        read_table(binary)


# --- real files


@needs_shared
def test_banking77_is_read_whole() -> None:
    train, test = (read_table(SHARED / "banking77" / f"{part}.csv") for part in ("train", "test"))
    counts = Counter(row.labels[0] for row in train.rows)
    assert (len(train.rows), len(test.rows), len(counts)) == (10003, 3080, 77)
    assert (min(counts.values()), max(counts.values())) == (35, 187)
    assert not train.multi_label
    assert not train.dropped


@needs_shared
def test_stackoverflow_titles_are_read_whole() -> None:
    folder = SHARED / "stackoverflow_titles20"
    if not (folder / "train.csv").exists():
        pytest.skip("the titles were not split into train.csv and test.csv")
    train, test = (read_table(folder / f"{part}.csv") for part in ("train", "test"))
    assert (len(train.rows), len(test.rows)) == (18000, 2000)
    assert Counter(row.labels[0] for row in test.rows) == dict.fromkeys({r.labels[0] for r in train.rows}, 100)


@needs_shared
def test_sms_spam_without_suffix_is_read_whole() -> None:
    table = read_table(SHARED / "sms_spam" / "SMSSpamCollection")
    assert Counter(row.labels[0] for row in table.rows) == {"ham": 4827, "spam": 747}
    assert table.columns == {"text": "SMS", "label": "Label"}

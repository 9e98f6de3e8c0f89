import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from retort.data.dataset import READERS, load_dataset
from retort.data.readers import Row
from retort.data.spans import Span
from retort.data.splits import Splits, split
from retort.errors import BadData


def rows_of(*texts_and_labels: tuple[str, ...]) -> list[Row]:
    return [Row({"text": t}, tuple(labels), line) for line, (t, *labels) in enumerate(texts_and_labels, 2)]


def plain_rows(**counts: int) -> list[Row]:
    return rows_of(*((f"{label} {i}", label) for label, count in counts.items() for i in range(count)))


def keys(rows: list[Row]) -> set[tuple[str, ...]]:
    return {tuple(" ".join(t.split()).casefold() for t in row.fields.values()) for row in rows}


def parts_of(splits: Splits) -> tuple[list[Row], list[Row], list[Row]]:
    return splits.train, splits.validation, splits.test


def test_shares_are_set_aside_each_label_in_its_proportion() -> None:
    splits = split(plain_rows(a=600, b=300, c=100), seed=3)
    assert splits.report.counts == {"train": 800, "validation": 100, "test": 100}
    assert splits.report.label_counts["test"] == {"a": 60, "b": 30, "c": 10}
    assert splits.report.label_counts["validation"] == {"a": 60, "b": 30, "c": 10}
    assert splits.labels == ("a", "b", "c")


def test_every_row_is_in_exactly_one_split_in_the_order_of_lines() -> None:
    rows = plain_rows(a=51, b=17, c=3, d=1)
    parts = parts_of(split(rows))
    assert sorted(row.line for part in parts for row in part) == [row.line for row in rows]
    assert all([row.line for row in part] == sorted(row.line for row in part) for part in parts)


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    rows = plain_rows(a=200, b=100)
    assert parts_of(split(rows, seed=7)) == parts_of(split(rows, seed=7))
    assert parts_of(split(rows, seed=7)) != parts_of(split(rows, seed=8))


def test_splits_do_not_depend_on_the_order_of_hashes() -> None:
    code = (
        "from retort.data.readers import Row; from retort.data.splits import split;"
        "rows = [Row({'text': f't{i % 90}'}, tuple({f'l{i % 7}', f'l{i % 5}'}), i) for i in range(300)];"
        "print([r.line for r in split(rows).test])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_labels_with_one_or_two_rows_train_and_lose_nothing() -> None:
    rows = plain_rows(a=100, b=100, **{f"one{i}": 1 for i in range(20)}, **{f"two{i}": 2 for i in range(20)})
    splits = split(rows)
    assert set(splits.labels) == {row.labels[0] for row in rows}
    assert all(splits.report.label_counts["train"][f"one{i}"] == 1 for i in range(20))
    assert splits.report.counts["test"] == 24  # a tenth of what can be parted


def test_many_rare_labels_still_give_the_whole_its_share() -> None:
    report = split(plain_rows(**{f"label{i}": 4 for i in range(100)})).report
    assert (report.counts["validation"], report.counts["test"]) == (40, 40)
    assert max(report.label_counts["test"].values()) == 1


def test_the_smallest_data_that_can_be_split_is_two_texts_of_each_of_two_labels() -> None:
    for seed in range(20):
        report = split(plain_rows(a=2, b=2), seed=seed).report
        assert report.counts == {"train": 2, "validation": 1, "test": 1}
        assert report.label_counts["train"] == {"a": 1, "b": 1}
    with pytest.raises(BadData, match=r"too few different texts.*validation.*--validation"):
        split(plain_rows(a=1, b=1, c=1))
    assert split(plain_rows(a=1, b=1), 0, 0).report.counts == {"train": 2, "validation": 0, "test": 0}


def test_equal_texts_never_fall_on_both_sides() -> None:
    rng = random.Random(0)  # noqa: S311
    texts = ["Straße 1", "STRASSE  1", " strasse\u00a01\n", "other"] + [f"text {i}" for i in range(40)]
    for seed in range(30):
        rows = rows_of(*((rng.choice(texts), rng.choice("abc")) for _ in range(200)))
        train, validation, test = map(keys, parts_of(split(rows, seed=seed)))
        assert not train & validation
        assert not train & test
        assert not validation & test


def test_pairs_are_equal_when_both_texts_are() -> None:
    pairs = [("A b", "c"), ("a  B", "C "), ("a b", "d"), ("c", "a b")]
    rows = [Row({"text": a, "text_pair": b}, (label,), i) for label in "xy" for i, (a, b) in enumerate(pairs)]
    report = split(rows, 0.2, 0.2).report
    assert (report.duplicates, report.conflicts) == (5, 3)
    assert report.conflict_examples[0].text == "A b / c"


def test_duplicates_are_kept_and_counted_and_conflicts_shown_with_their_lines() -> None:
    rows = rows_of(
        ("Same text", "a"),
        ("same  TEXT", "b"),
        ("fine", "a"),
        ("Fine", "a"),
        *((f"t{i}", "ab"[i % 2]) for i in range(40)),
    )
    splits = split(rows)
    assert sum(map(len, parts_of(splits))) == len(rows)
    assert (splits.report.duplicates, splits.report.conflicts) == (2, 1)
    conflict = splits.report.conflict_examples[0]
    assert (conflict.text, conflict.labels, conflict.lines) == ("Same text", (("a",), ("b",)), (2, 3))


def test_the_order_of_several_labels_is_no_conflict() -> None:
    rows = rows_of(("x", "a", "b"), ("X", "b", "a"), ("y", "a"), ("z", "b"), ("w",), ("v", "a"), ("u", "b"))
    assert split(rows, 0.2, 0.2).report.conflicts == 0


def test_the_largest_group_of_equal_texts_trains() -> None:
    rows = rows_of(
        *[("boilerplate", "a")] * 500, *((f"a{i}", "a") for i in range(20)), *((f"b{i}", "b") for i in range(20))
    )
    for seed in range(10):
        splits = split(rows, seed=seed)
        assert splits.report.label_counts["train"]["a"] > 500
        assert splits.report.counts["test"] == 4


def test_every_label_of_multi_label_rows_is_in_train() -> None:
    rng = random.Random(1)  # noqa: S311
    for seed in range(30):
        names = [f"l{i}" for i in range(25)]
        rows = rows_of(*((f"t{i}", *rng.sample(names, rng.randrange(4))) for i in range(80)))
        splits = split(rows, 0.3, 0.3, seed)
        assert set(splits.labels) == {label for row in rows for label in row.labels}


# --- files given for validation and test


def test_given_rows_stay_whole_and_nothing_is_set_aside_for_them() -> None:
    rows, test = plain_rows(a=50, b=50), rows_of(("new", "a"), ("newer", "b"))
    report = split(rows, test=test).report
    assert report.counts == {"train": 90, "validation": 10, "test": 2}
    report = split(rows, validation=test).report
    assert report.counts == {"train": 90, "validation": 2, "test": 10}
    report = split(rows, validation=test, test=rows_of(("newest", "a"))).report
    assert report.counts == {"train": 100, "validation": 2, "test": 1}
    assert report.leaked == {}


def test_texts_of_given_files_leave_the_training_data_and_are_counted() -> None:
    rows = plain_rows(a=50, b=50)
    test, validation = (
        rows_of(("A  1", "a"), ("b 2", "b"), ("new", "a")),
        rows_of(("a 3", "a"), ("NEW ", "a"), ("x", "b")),
    )
    splits = split(rows, validation=validation, test=test)
    assert splits.report.leaked == {"train": 3, "validation": 1}
    assert splits.report.counts == {"train": 97, "validation": 2, "test": 3}
    train, valid, judged = map(keys, parts_of(splits))
    assert not train & valid
    assert not train & judged
    assert not valid & judged


def test_labels_of_given_files_that_nobody_trains_are_named() -> None:
    rows = plain_rows(a=20, b=20)
    with pytest.raises(BadData, match=r"test data has labels.*'c', 'd'\."):
        split(rows, test=rows_of(("x", "c"), ("y", "d"), ("z", "a")))
    with pytest.raises(BadData, match="validation data has labels"):
        split(rows, validation=rows_of(("x", "A")))
    many = rows_of(*((f"x{i}", f"new{i:02}") for i in range(30)))
    with pytest.raises(BadData, match="and 20 more"):
        split(rows, test=many)


def test_what_leaking_rows_leave_too_bare_is_told() -> None:
    rows = [*plain_rows(a=20), *rows_of(("only", "b"))]
    with pytest.raises(BadData, match=r"20 rows to train on \(without 1 whose texts"):
        split(rows, test=rows_of(("ONLY", "b")))
    with pytest.raises(BadData, match="Every text of the validation file"):
        split(plain_rows(a=20, b=20), validation=rows_of(("x", "a")), test=rows_of(("X", "a")))


@pytest.mark.parametrize("rows", [[("x", "a"), ("y", "a")], [("x",), ("y",)], [("x", "a", "b"), ("y", "b", "a")]])
def test_one_and_the_same_label_everywhere_is_nothing_to_learn(rows: list[tuple[str, ...]]) -> None:
    with pytest.raises(BadData, match="at least two different labels"):
        split(rows_of(*rows))


def test_shares_must_leave_something_to_train_on() -> None:
    for shares in ((0.5, 0.5), (-0.1, 0.2)):
        with pytest.raises(BadData, match="shares"):
            split(plain_rows(a=9, b=9), *shares)


def test_few_large_and_many_small_labels_are_split_exactly() -> None:
    rows = [Row({"text": f"t{i}"}, (f"l{i % 3}",), i) for i in range(15_000)]
    rows += [Row({"text": f"u{i}"}, (f"m{i % 4_000}",), 15_000 + i) for i in range(15_000)]
    report = split(rows).report
    assert report.counts == {"train": 24_000, "validation": 3_000, "test": 3_000}


# --- spans


def span_row(text: str, *spans: tuple[int, int, str], line: int = 1) -> Row:
    found = tuple(Span(*span) for span in spans)
    return Row({"text": text}, tuple(sorted({span.label for span in found})), line, found)


def test_rows_without_spans_are_dealt_in_their_proportion_like_types() -> None:
    rows = [span_row(f"Ada {i}", (0, 3, "per"), line=i) for i in range(300)]
    rows += [span_row(f"nobody {i}", line=i) for i in range(300, 1000)]
    report = split(rows).report
    assert report.counts == {"train": 800, "validation": 100, "test": 100}
    assert report.label_counts["test"] == report.label_counts["validation"] == {"per": 30}


def test_one_type_that_every_row_has_is_enough() -> None:
    splits = split([span_row(f"Ada {i}", (0, 3, "per"), line=i) for i in range(30)])
    assert splits.labels == ("per",)
    with pytest.raises(BadData, match="have no label"):
        split([span_row(f"nobody {i}", line=i) for i in range(30)])


def test_spans_are_counted_not_rows() -> None:
    rows = [span_row(f"Ada Bob {i}", (0, 3, "per"), (4, 7, "per"), line=i) for i in range(10)]
    assert split(rows).report.label_counts == {"train": {"per": 16}, "validation": {"per": 2}, "test": {"per": 2}}


def test_equal_texts_with_different_spans_contradict() -> None:
    rows = [
        span_row("Ada  Bob", (0, 3, "per"), (5, 8, "per"), line=1),
        span_row(" ada bob", (1, 4, "per"), (5, 8, "per"), line=2),  # the same but for white space and case
        span_row("New York", (0, 8, "loc"), line=3),
        span_row("new york", (4, 8, "loc"), line=4),
        span_row("Paris", (0, 5, "loc"), line=5),
        span_row("paris", line=6),
        *(span_row(f"Ada {i}", (0, 3, "per"), line=i) for i in range(7, 40)),
    ]
    report = split(rows).report
    assert (report.duplicates, report.conflicts) == (3, 2)
    assert [(c.labels, c.lines) for c in report.conflict_examples] == [
        ((("New York: loc",), ("york: loc",)), (3, 4)),
        ((("Paris: loc",), ()), (5, 6)),
    ]


def test_spans_of_texts_that_differ_in_white_space_and_case_alone_are_compared() -> None:
    rng = random.Random(0)  # noqa: S311
    words = ["Straße", "İzmir", "ΣΑΣ", "ﬁn", "🎉é"]
    for _ in range(200):
        found = [[rng.choice(words) for _ in range(rng.randrange(1, 3))] for _ in range(4)]
        rows = []
        for line, change in enumerate((str, str.casefold)):
            text, spans = "", []
            for name in found:
                text += "".join(rng.choices(" \t\u3000", k=rng.randrange(1, 4)))
                start = len(text)
                text += change(" ".join(name))
                spans.append((start, len(text), "x"))
            rows.append(span_row(text, *spans, line=line))
        others = [span_row(f"Ada {i}", (0, 3, "x"), line=i) for i in range(10, 40)]
        assert split([*rows, *others]).report.conflicts == 0
        *before, (start, end, label) = rows[1].spans
        rows[1] = span_row(rows[1].fields["text"], *before, (start, end - 1, label), line=1)
        assert split([*rows, *others]).report.conflicts == 1


def test_files_of_spans_become_a_dataset_with_all_that_was_mended(tmp_path: Path) -> None:
    sentences = [f"Ada{i} I-per\nleft O\n" for i in range(40)] + ["New B-loc\nYork I-loc\n", "York I-loc\n"]
    (tmp_path / "a.conll").write_text("\n".join(sentences))
    (tmp_path / "t.jsonl").write_text('{"text": "In Rome ", "spans": [[3, 8, "loc"]]}\n')
    dataset = load_dataset(tmp_path / "a.conll", test=tmp_path / "t.jsonl", read=READERS["spans"])
    assert dataset.splits.report.counts == {"train": 38, "validation": 4, "test": 1}
    assert dataset.splits.labels == ("loc", "per")
    repaired = dataset.splits.report.repaired
    assert [sum(repaired[name].values()) for name in ("train", "test")] == [41, 1]
    said = dataset.splits.report.describe()
    assert said[0].startswith("Mended in train: 41 entities with broken tags (")
    assert said[1] == "Mended in test: 1 spans whose edges were white space (trimmed)."


# --- from files


def test_files_become_a_dataset_with_all_that_was_dropped(tmp_path: Path) -> None:
    lines = [f"{label} text {i},{label},noise" for label in ("java", "python") for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["post,tags,text", *lines, ",java,noise", "x,,noise"]))
    (tmp_path / "t.tsv").write_text("tags\tpost\njava\tJAVA text 1\npython\tnew\njava\t\n")
    dataset = load_dataset(tmp_path / "a.csv", test=tmp_path / "t.tsv", text_column="post", seed=1)
    assert not dataset.multi_label
    assert dataset.columns == {"text": "post", "label": "tags"}
    assert dataset.splits.report.counts == {"train": 53, "validation": 6, "test": 2}
    assert dataset.splits.report.leaked == {"train": 1}
    assert dataset.splits.report.dropped == {"train": {"empty text": 1, "no label": 1}, "test": {"empty text": 1}}


def test_other_files_must_have_the_columns_of_the_training_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sentence1,sentence2,label\nx,y,a\nz,w,b\n")
    (tmp_path / "t.csv").write_text("text,label\nx,a\n")
    with pytest.raises(BadData, match=r"t\.csv: expected the text column 'sentence1'"):
        load_dataset(tmp_path / "a.csv", test=tmp_path / "t.csv")
    with pytest.raises(BadData, match="the training file itself"):
        load_dataset(tmp_path / "a.csv", test=tmp_path / ".." / tmp_path.name / "a.csv")


def test_labels_separated_in_any_file_make_the_task_multi_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(40)))
    (tmp_path / "t.csv").write_text("text,label\nx,a|b\n")
    dataset = load_dataset(tmp_path / "a.csv", test=tmp_path / "t.csv")
    assert dataset.multi_label
    assert Counter(label for row in dataset.splits.test for label in row.labels) == {"a": 1, "b": 1}

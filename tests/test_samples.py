"""The files in `samples/` are what `samples/README.md` says."""

import csv
import json
from collections import Counter
from pathlib import Path

from retort.data.tagged import read_tagged

SAMPLES = Path(__file__).parents[1] / "samples"
TAGS = {"python", "java", "javascript", "sql", "git", "docker", "linux", "css", "c++", "rust"}
TOPICS = {"billing", "bug", "cancellation", "feature", "praise", "support"}


def read_csv(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, strict=True))


def folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def test_questions_are_600_rows_with_ten_tags_none_of_them_rare() -> None:
    rows = read_csv("questions.csv")
    counts = Counter(row["label"] for row in rows)
    assert [*rows[0]] == ["text", "label"]
    assert len(rows) == 600
    assert counts.keys() == TAGS
    assert min(counts.values()) >= 30
    assert max(counts.values()) > 1.5 * min(counts.values())


def test_no_question_occurs_twice_after_whitespace_and_case_folding() -> None:
    counts = Counter(folded(row["text"]) for row in read_csv("questions.csv"))
    assert [text for text, n in counts.items() if n > 1] == []


def test_questions_are_as_noisy_as_real_ones() -> None:
    texts = [row["text"] for row in read_csv("questions.csv")]
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 3
    assert max(lengths) <= 80
    assert sum(n > 25 for n in lengths) > 90
    assert sum("\n" in text for text in texts) > 80
    assert sum('"' in text and "," in text for text in texts) > 10
    assert any(ord(c) > 0x1F000 for text in texts for c in text)


def test_most_questions_do_not_name_their_tag() -> None:
    rows = read_csv("questions.csv")
    assert sum(row["label"] in row["text"].casefold() for row in rows) < len(rows) / 3


def test_pairs_are_balanced_and_distinct() -> None:
    rows = [json.loads(line) for line in (SAMPLES / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all([*row] == ["text", "text_pair", "label"] for row in rows)
    assert Counter(row["label"] for row in rows) == {"duplicate": 20, "different": 20}
    assert len({(folded(row["text"]), folded(row["text_pair"])) for row in rows}) == 40


def test_entities_are_whole_words_of_four_types_each_text_once() -> None:
    table = read_tagged(SAMPLES / "entities.jsonl")
    texts = [row.fields["text"] for row in table.rows]
    assert len({folded(text) for text in texts}) == len(texts) == 120
    assert (table.dropped, table.repaired) == ({}, {})
    counts = Counter(span.label for row in table.rows for span in row.spans)
    assert counts.keys() == {"PER", "LOC", "ORG", "MISC"}
    assert min(counts.values()) >= 30
    for row in table.rows:
        text = f" {row.fields['text']} "
        assert all(not (text[s.start] + text[s.end + 1]).isalnum() for s in row.spans), text
        assert all(text[s.start + 1 : s.end + 1].strip(".,;:!?()'") for s in row.spans)


def test_entities_are_as_varied_as_real_ones() -> None:
    rows = read_tagged(SAMPLES / "entities.jsonl").rows
    names = {(row.fields["text"][s.start : s.end], s.label) for row in rows for s in row.spans}
    assert sum(not row.spans for row in rows) >= 10
    assert sum(len(row.spans) > 1 for row in rows) > 50
    assert sum(" " in name for name, _ in names) > 60
    assert sum(name.islower() for name, _ in names) >= 5
    types = Counter(name for name, _ in names)
    assert sum(n > 1 for n in types.values()) >= 3  # the same name, another type


def test_multi_label_rows_carry_known_topics_each_once() -> None:
    rows = read_csv("multi_label.csv")
    assert [*rows[0]] == ["text", "labels"]
    assert len({folded(row["text"]) for row in rows}) == len(rows) == 60
    labels = [row["labels"].split("|") for row in rows]
    assert {label for found in labels for label in found} == TOPICS
    assert all(len(set(found)) == len(found) for found in labels)
    assert sum(len(found) > 1 for found in labels) >= 20

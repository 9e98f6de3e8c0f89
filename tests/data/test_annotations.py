import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from test_conll import error_of, marked, table_of

from retort.data.annotations import CONVERTED, MISQUOTED
from retort.data.spans import BLANK, OVERLAPPING, TRIMMED
from retort.data.tagged import BROKEN, read_tagged
from retort.errors import BadData

TEXT = "Ada left New York"
FOUND = [(TEXT, "Ada: per", "New York: loc")]
NOTHING = '{"text": "x", "spans": []}'
SPANS = [{"start": 0, "end": 3, "label": "per"}, {"start": 9, "end": 17, "label": "loc"}]
TUPLES = [[0, 3, "per"], [9, 17, "loc"]]
TAGS = ["B-per", "O", "B-loc", "I-loc"]
REGIONS = [
    {"start": 9, "end": 17, "text": "New York", "labels": ["loc"]},
    {"start": 0, "end": 3, "text": "Ada", "labels": ["per"]},
]
TASK = {
    "id": 7,
    "data": {"text": TEXT},
    "annotations": [
        {"was_cancelled": True, "result": []},
        {
            "was_cancelled": False,
            "result": [
                *({"value": region, "from_name": "label", "to_name": "text", "type": "labels"} for region in REGIONS),
                {"from_id": "a", "to_id": "b", "type": "relation"},
                {"value": {"choices": ["good"]}, "type": "choices"},
            ],
        },
        {"result": []},
    ],
}


def lines_of(*items: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


@pytest.mark.parametrize(
    "item",
    [
        {"tokens": TEXT.split(), "tags": TAGS},
        {"id": "4", "words": TEXT.split(), "labels": TAGS},
        {"tokens": TEXT.split(), "ner_tags": ["S-per", "O", "B-loc", "L-loc"], "text": "another"},
        {"text": TEXT, "spans": SPANS},
        {"text": TEXT, "entities": SPANS, "label": "news"},
        {"text": TEXT, "tokens": [{"text": "Ada", "id": 0}], "spans": SPANS},  # Prodigy
        {"id": 1, "text": TEXT, "label": TUPLES},  # doccano
        {"id": 1, "text": TEXT, "labels": [*reversed(TUPLES)]},
        {"text": TEXT, "entities": [{"id": 1, "label": k, "start_offset": a, "end_offset": b} for a, b, k in TUPLES]},
        {"id": 1, "text": TEXT, "label": REGIONS, "annotator": 1},  # Label Studio, JSON-MIN
        TASK,
        {**TASK, "annotations": None, "completions": TASK["annotations"]},
    ],
)
def test_every_shape_says_the_same(tmp_path: Path, item: dict[str, Any]) -> None:
    assert marked(table_of(tmp_path, lines_of(item), "a.jsonl")) == FOUND
    assert marked(table_of(tmp_path, json.dumps([item], indent=2), "a.json")) == FOUND
    assert marked(table_of(tmp_path, lines_of(item), "a.json")) == FOUND


def test_unusual_names_can_be_given(tmp_path: Path) -> None:
    item = {"doc": TEXT, "text": "x", "marks": SPANS, "spans": []}
    table = table_of(tmp_path, lines_of(item), "a.jsonl", text_column="doc", label_column="marks")
    assert marked(table) == FOUND
    assert table.columns == {"text": "doc", "label": "marks"}
    item = {"toks": TEXT.split(), "iob": TAGS}
    assert marked(table_of(tmp_path, lines_of(item), "a.jsonl", text_column="toks", label_column="iob")) == FOUND
    task = {**TASK, "data": {"body": TEXT}}
    assert marked(table_of(tmp_path, lines_of(task), "a.jsonl", text_column="body")) == FOUND


def test_parquet_holds_lists_too(tmp_path: Path) -> None:
    for name, columns in (
        ("a.parquet", {"id": ["0"], "tokens": [TEXT.split()], "ner_tags": [TAGS]}),
        ("b.parquet", {"text": [TEXT], "entities": [SPANS]}),
    ):
        parquet.write_table(pa.table(columns), tmp_path / name)
        assert marked(read_tagged(tmp_path / name)) == FOUND


@pytest.mark.parametrize("metadata", [None, b"{", b"[]", b'{"info": {"features": {"ner_tags": 3, "x": null}}}'])
def test_numbers_without_names_are_refused(tmp_path: Path, metadata: bytes | None) -> None:
    numbers = pa.table({"tokens": [["Ada"], ["Bob"]], "ner_tags": [[0], [1]]})
    if metadata is not None:
        numbers = numbers.replace_schema_metadata({b"huggingface": metadata})
    parquet.write_table(numbers, tmp_path / "c.parquet")
    with pytest.raises(BadData, match=r"c\.parquet, line 1: expected tags by name.* got the number 0"):
        read_tagged(tmp_path / "c.parquet")


@pytest.mark.parametrize("wrapped", [True, False])
def test_numbers_whose_names_the_file_holds_are_tags(tmp_path: Path, wrapped: bool) -> None:
    kind: Any = {"names": ["O", "B-per", "B-loc", "I-loc"], "_type": "ClassLabel"}
    features = {"tokens": {"dtype": "string"}, "ner_tags": {"feature": kind, "_type": "List"} if wrapped else kind}
    table = pa.table({"tokens": [TEXT.split()], "ner_tags": [[1, 0, 2, 3]]})
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert marked(read_tagged(tmp_path / "a.parquet")) == FOUND


def test_lines_are_those_of_the_file_also_in_an_array(tmp_path: Path) -> None:
    items = [{"text": TEXT, "spans": SPANS}, {"text": "x", "spans": []}]
    assert [row.line for row in table_of(tmp_path, "\n" + lines_of(*items), "a.jsonl").rows] == [2, 3]
    array = f"[\n {json.dumps(items[0])},\n\n {json.dumps(items[1])}\n]\n"
    assert [row.line for row in table_of(tmp_path, array, "a.json").rows] == [2, 4]


def test_texts_without_spans_stay_and_what_nobody_annotated_is_dropped(tmp_path: Path) -> None:
    items = [
        {"text": TEXT, "spans": SPANS},
        {"text": "none", "spans": []},
        {"text": "?", "spans": None},
        {"text": "?"},
        {"data": {"text": "?"}, "annotations": []},
        {"data": {"text": "?"}, "annotations": [{"was_cancelled": True, "result": []}]},
        {"data": {"text": "none too"}, "annotations": [{"result": []}]},
        {"text": " ", "spans": []},
        {"tokens": [], "tags": []},
    ]
    table = table_of(tmp_path, lines_of(*items), "a.jsonl")
    assert marked(table) == [*FOUND, ("none",), ("none too",)]
    assert table.dropped == {"no label": 4, "empty text": 2}


def test_what_is_mended_is_counted(tmp_path: Path) -> None:
    items = [
        {
            "text": TEXT,
            "spans": [[0, 4, "per"], [3, 4, "x"], [9, 17, "loc"], [9, 12, "per"], [13, 17, "per"], [2, 2, "x"]],
        },
        {"tokens": ["Ada", "", "left"], "tags": ["I-per", "I-per", "O"]},
        {"tokens": ["Bob"], "tags": ["B-per"]},
        {"text": TEXT, "label": [{"start": 0, "end": 3, "labels": ["per", "who"]}]},
    ]
    table = table_of(tmp_path, lines_of(*items), "a.jsonl")
    assert marked(table)[:2] == [*FOUND, ("Ada  left", "Ada: per")]
    assert table.repaired == {TRIMMED: 2, BLANK: 2, OVERLAPPING: 3, BROKEN: 1}


def test_offsets_of_javascript_become_those_of_characters(tmp_path: Path) -> None:
    regions = [
        {"start": 3, "end": 6, "text": "Ada", "labels": ["per"]},
        {"start": 14, "end": 16, "text": "🗽", "labels": ["loc"]},
        {"start": 16, "end": 20, "text": "York", "labels": ["loc"]},
    ]
    table = table_of(tmp_path, lines_of({"text": "🎉 Ada left a 🗽York", "label": regions}), "a.jsonl")
    assert marked(table)[0][1:] == ("Ada: per", "🗽: loc", "York: loc")
    assert table.repaired == {CONVERTED: 3}
    characters = [{"start": 2, "end": 5, "text": "Ada", "label": "per"}]
    assert table_of(tmp_path, lines_of({"text": "🎉 Ada", "label": characters}), "a.jsonl").repaired == {}


def test_a_quote_that_differs_from_what_is_covered_is_counted(tmp_path: Path) -> None:
    item = {"text": TEXT, "label": [{"start": 1, "end": 4, "text": "Ada", "labels": ["per"]}]}
    table = table_of(tmp_path, lines_of(item), "a.jsonl")
    assert marked(table)[0][1:] == ("da: per",)
    assert table.repaired == {MISQUOTED: 1, TRIMMED: 1}
    item = {"text": TEXT, "label": [{"start": 0, "end": 3, "text": "", "labels": ["per"]}]}
    assert table_of(tmp_path, lines_of(item), "a.jsonl").repaired == {}
    item = {"text": "New\nYork", "label": [{"start": 0, "end": 8, "text": "New\\nYork", "labels": ["loc"]}]}
    assert table_of(tmp_path, lines_of(item), "a.jsonl").repaired == {}


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"text": TEXT, "spans": [[0, 18, "x"]]}, "expected 0 <= start <= end <= 17, the text's length, got 0 and 18"),
        ({"text": TEXT, "spans": [[-1, 3, "x"]]}, "got -1 and 3"),
        ({"text": TEXT, "spans": [[3, 0, "x"]]}, "got 3 and 0"),
        ({"text": TEXT, "spans": [[0.5, 3, "x"]]}, "whole numbers, got 0.5"),
        ({"text": TEXT, "spans": [["0", 3, "x"]]}, "whole numbers, got '0'"),
        ({"text": TEXT, "spans": [[True, 3, "x"]]}, "whole numbers, got True"),
        ({"text": TEXT, "spans": [{"start": 0, "label": "x"}]}, "whole numbers, got None"),
        ({"text": TEXT, "spans": [[0, 3, ""]]}, "a span's label"),
        ({"text": TEXT, "spans": [[0, 3, 4]]}, "a span's label"),
        ({"text": TEXT, "spans": [{"start": 0, "end": 3, "labels": []}]}, "a span's label"),
        ({"text": TEXT, "spans": [[0, 3]]}, "expected a span as an object"),
        ({"text": TEXT, "label": ["news"]}, "expected a span as an object"),
        ({"text": TEXT, "label": "news"}, "a list of spans, got str"),
        ({"text": 4, "spans": []}, "the names are: 'text', 'spans'"),
        ({"title_of": "x"}, "expected `text` and `spans`, or `tokens` and `tags`; the names are: 'title_of'"),
        ({}, "the names are: none"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "as many tags as words, got 1 for 2"),
        ({"tokens": ["a"], "tags": "O"}, "a list of tags, got str"),
        ({"tokens": ["a"], "tags": [3]}, "by name, such as B-person, got the number 3"),
        ({"tokens": ["a"], "tags": [None]}, "expected a tag such as O"),
        ({"tokens": ["a"], "tags": ["NN"]}, "got 'NN'"),
        ({"tokens": [1], "tags": ["O"]}, "the names are"),
        ({"data": {"text": 4}, "annotations": []}, "a string `text` in `data`"),
        ({"data": {"text": "x"}, "annotations": [3]}, "expected `annotations`"),
        ({"data": {"text": "x"}, "annotations": [{"result": 3}]}, "expected `result`"),
        ({"text": "\ud800", "spans": []}, "lone surrogate"),
        ({"text": "x", "spans": [[0, 1, "\ud800"]]}, "lone surrogate"),
        (["x"], "expected a JSON object, got list"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, item: object, says: str) -> None:
    good = {"text": TEXT, "spans": SPANS}
    message = error_of(tmp_path, lines_of(good, item), "a.jsonl")
    assert f"a.jsonl, line 2: {says}" in message or ("line 2: " in message and says in message)
    assert len(message) < 400
    array = f"[{json.dumps(good)},\n{json.dumps(item)}]"
    assert "a.json, line 2: " in error_of(tmp_path, array, "a.json")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"text": \n', "line 1: expected a JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1: expected a JSON object"),
        ("a.jsonl", "", "is empty"),
        ("a.json", "[]", "0 without a span"),
        ("a.json", "[", "line 1: expected a JSON object"),
        ("a.json", f"[{NOTHING}", "line 1: expected , or ]"),
        ("a.json", f"[{NOTHING}\n{NOTHING}]", "line 2: expected , or ]"),
        ("a.json", f"[{NOTHING},\n]", "line 2: expected a JSON object"),
        ("a.json", "[] {}", "nothing behind the JSON array"),
        ("a.json", '{"text": "x"}', "spans are looked for under spans, entities"),
        ("a.json", '{"text": "x", "text": "y"}', "a name is there twice"),
        ("a.json", "[" * 100_000, "line 1: expected a JSON object"),
        ("a.parquet", "{}", "Parquet"),
    ],
)
def test_broken_json_is_told(tmp_path: Path, name: str, content: str, says: str) -> None:
    message = error_of(tmp_path, content, name)
    assert says in message
    assert len(message) < 400


def test_damaged_files_give_rows_or_one_kind_of_error(tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311
    items = [{"tokens": TEXT.split(), "tags": TAGS}, {"text": TEXT, "spans": SPANS}, TASK]
    contents = {"a.jsonl": lines_of(*items).encode(), "a.json": json.dumps(items, indent=1).encode()}
    pieces = (b"", b'"', b"{", b"}", b"[", b"]", b",", b"null", b"-1", b"1e999", b"NaN", b"\xff", b"\\ud800", b"\n")
    outcomes: Counter[str] = Counter()
    for _ in range(500):
        for name, content in contents.items():
            damaged = bytearray(content)
            for _ in range(rng.randrange(1, 3)):
                place = rng.randrange(len(damaged))
                damaged[place : place + rng.randrange(3)] = rng.choice(pieces)
            try:
                table = table_of(tmp_path, bytes(damaged), name)
            except BadData:
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
                assert all(0 <= s.start < s.end <= len(r.fields["text"]) for r in table.rows for s in r.spans)
    assert min(outcomes.values()) > 20


def test_values_of_any_kind_in_any_place_give_rows_or_one_kind_of_error(tmp_path: Path) -> None:
    values: tuple[Any, ...] = (None, True, 0, -5, 10**30, 1.5, "", "B-x", [], [[]], {}, {"a": 1}, [None], [0, 1, "x"])
    for item in (
        {"tokens": ["Ada"], "tags": ["B-x"]},
        {"text": "Ada", "spans": [{"start": 0, "end": 3, "label": "x"}]},
        TASK,
    ):
        for path in _paths(item):
            for value in values:
                changed = json.loads(json.dumps(item))
                place = changed
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = value
                with contextlib.suppress(BadData):
                    table_of(tmp_path, lines_of(changed), "a.jsonl")


def _paths(item: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value lies, however deep."""
    inside = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return [path for key, value in inside for path in [(*above, key), *_paths(value, (*above, key))]]

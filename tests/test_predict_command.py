import csv
import gzip
import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

import retort.predict
from artifacts import tiny_artifact, tiny_entities
from retort.cli import main

TEXTS = ["how to join", "sort the list", "java ?", "python", "你好 👍"]
HARD = [
    'say "hi", twice', "two\nlines", "dos\r\nline", "lone\rreturn", "nul\0here", "\ufeffmark", "=1+2", "a\u2028b\x85c",
    "tab\there", " spaces ", "é" * 50_000,
]  # fmt: skip


@pytest.fixture
def predict(served_dir: Path) -> Callable[..., Result]:
    """Run the command; options are keywords, `True` is a flag."""

    def run(file: Path, **options: object) -> Result:
        given = [[f"--{k.replace('_', '-')}", *([] if v is True else [str(v)])] for k, v in options.items()]
        places = [] if "models_dir" in options else ["--models-dir", str(served_dir)]
        return CliRunner().invoke(main, ["predict", str(file), *places, *(part for parts in given for part in parts)])

    return run


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retort.predict, "CHUNK_ROWS", 7)


def write(path: Path, texts: list[str], **more: list[Any]) -> Path:
    """A file of that name's format, with an `id`, a `text` and further columns."""
    columns = {"id": [str(i) for i in range(len(texts))], "text": texts, **more}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        parquet.write_table(pa.table(columns), path)
        return path
    if name.endswith(".jsonl"):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    elif name.endswith(".tsv"):
        content = "\n".join("\t".join(map(str, row)) for row in [list(columns), *(r.values() for r in rows)])
    else:
        buffer = io.StringIO()
        csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([list(columns), *(r.values() for r in rows)])
        content = buffer.getvalue()
    path.write_bytes(gzip.compress(content.encode()) if path.name.endswith(".gz") else content.encode())
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.name.endswith(".parquet"):
        return list(parquet.read_table(path).to_pylist())
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in content.decode().split("\n")[:-1]]
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("source", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("target", ["b.csv", "b.jsonl", "b.parquet", "b.csv.gz", "b.jsonl.gz"])
def test_every_format_goes_in_and_out(tmp_path: Path, predict: Callable[..., Result], source: str, target: str) -> None:
    file = write(tmp_path / source, TEXTS)
    done(predict(file, output=tmp_path / target, top_k=2))
    rows = read(tmp_path / target)
    assert [row["text"] for row in rows] == TEXTS
    assert [row["id"] for row in rows] == list("01234")
    for row in rows:
        top = json.loads(row["top"]) if ".csv" in target else row["top"]
        assert top[0]["label"] == row["prediction"]
        assert top[0]["probability"] == float(row["probability"]) >= top[1]["probability"]
        assert not row.get("error")
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("source", "target"),
    [("a.csv.gz", "a.predictions.csv"), ("a.tsv", "a.predictions.csv"), ("a.parquet", "a.predictions.parquet")],
)
def test_the_output_lies_beside_the_input_by_default(
    tmp_path: Path, predict: Callable[..., Result], source: str, target: str
) -> None:
    done(predict(write(tmp_path / source, TEXTS)))
    assert len(read(tmp_path / target)) == len(TEXTS)


@pytest.mark.parametrize("source", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("target", ["b.csv", "b.jsonl", "b.parquet"])
def test_hard_texts_come_back_as_they_were(
    tmp_path: Path, predict: Callable[..., Result], source: str, target: str
) -> None:
    done(predict(write(tmp_path / source, HARD), output=tmp_path / target))
    assert [row["text"] for row in read(tmp_path / target)] == HARD


def test_the_predictions_are_those_of_the_engine(tmp_path: Path, predict: Callable[..., Result], client: Any) -> None:
    done(predict(write(tmp_path / "a.jsonl", TEXTS)))
    answer = client.post("/predict", json={"x": TEXTS}).get_json()
    rows = read(tmp_path / "a.predictions.jsonl")
    assert [row["prediction"] for row in rows] == answer["predictions"]
    assert [row["probability"] for row in rows] == pytest.approx(answer["probabilities"], abs=2e-6)


def test_several_labels_are_lists(tmp_path: Path, predict: Callable[..., Result]) -> None:
    tiny_artifact(tmp_path / "models", task="multi_label_classification", threshold=0.2)
    for target in ("b.csv", "b.jsonl", "b.parquet"):
        done(predict(write(tmp_path / "a.csv", TEXTS), models_dir=tmp_path / "models", output=tmp_path / target))
        for row in read(tmp_path / target):
            labels, numbers = row["prediction"], row["probability"]
            if target == "b.csv":
                labels, numbers = json.loads(labels), json.loads(numbers)
            assert isinstance(labels, list)
            assert len(labels) == len(numbers)
            assert all(n >= 0.2 for n in numbers)


def test_entities_are_lists_of_objects(tmp_path: Path, predict: Callable[..., Result]) -> None:
    tiny_entities(tmp_path / "models")
    for target in ("b.csv", "b.jsonl", "b.parquet"):
        done(predict(write(tmp_path / "a.csv", TEXTS), models_dir=tmp_path / "models", output=tmp_path / target))
        n_found = 0
        for row, text in zip(read(tmp_path / target), TEXTS, strict=True):
            entities, numbers = row["prediction"], row["probability"]
            if target == "b.csv":
                entities, numbers = json.loads(entities or "[]"), json.loads(numbers or "[]")
            assert [e["probability"] for e in entities] == list(numbers)
            assert all(e["text"] == text[e["start"] : e["end"]] for e in entities)
            n_found += len(entities)
        assert n_found


def test_pairs_are_read_as_in_training(tmp_path: Path, predict: Callable[..., Result]) -> None:
    file = write(tmp_path / "a.csv", TEXTS, other=TEXTS[::-1])
    done(predict(file, output=tmp_path / "single.csv"))
    done(predict(file, output=tmp_path / "pairs.csv", text_pair_column="other"))
    single, pairs = read(tmp_path / "single.csv"), read(tmp_path / "pairs.csv")
    assert [r["probability"] for r in single] != [r["probability"] for r in pairs]


def test_a_model_is_chosen_by_folder_or_by_name_in_the_pointer(tmp_path: Path, predict: Callable[..., Result]) -> None:
    models_dir = tmp_path / "models"
    other = tiny_artifact(models_dir, name="other", seed=1)
    pointed = tiny_artifact(models_dir, name="pointed")
    pointer = models_dir / "latest_model_config.json"
    named = {"second": {"model_dir": f"trained/{other.path.name}"}}
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"models": named}))
    file = write(tmp_path / "a.csv", TEXTS)
    for model, expected in ((None, pointed), (other.path, other), (other.path.name, other), ("second", other)):
        given = {} if model is None else {"model": model}
        result = done(predict(file, models_dir=models_dir, json=True, **given))
        assert json.loads(result.stdout)["model"] == expected.version
    result = predict(file, models_dir=models_dir, model="third")
    assert result.exit_code == 2
    assert "second" in result.output


# --- bad rows


def test_rows_that_cannot_be_read_stay_in_their_place_with_a_sentence(
    tmp_path: Path, predict: Callable[..., Result]
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(
        b'id,text\n1,how to\n2\n3,too,many\n4,\n5,caff\xe8\n6,sort\n7,"left open\n8,java\n9,"b" c\n10,list\n'
    )
    for target in ("b.csv", "b.jsonl", "b.parquet"):
        result = done(predict(file, output=tmp_path / target, json=True))
        assert (summary := json.loads(result.stdout))["n_rows"] == 10
        assert summary["n_failed"] == 6
        rows = read(tmp_path / target)
        assert [bool(row.get("prediction")) for row in rows] == [c == "x" for c in "x....x.x.x"]
        texts = ["how to", "2", "3,too,many", "", r"5,caff\xe8", "sort", '7,"left open', "java", '9,"b" c', "list"]
        assert [row["text"] for row in rows] == texts
        for row, said in zip(
            [r for r in rows if r.get("error")],
            ["expected 2 values, got 1", "got 3", "'text' is empty", "byte 0xe8", "line 8", "line 10"],
            strict=True,
        ):
            assert said in row["error"]


def test_objects_that_cannot_be_read_stay_in_their_place_too(tmp_path: Path, predict: Callable[..., Result]) -> None:
    file = tmp_path / "a.jsonl"
    lines = ['{"id": 1, "text": "how"}', "{broken", '{"text": 5}', '{"text": null}', '{"id": 5}', "[]"]
    file.write_text("\n".join([*lines, r'{"text": "\ud83d", "id": 1.5}', '{"text": "sort", "deep": {"a": [1]}}']))
    done(predict(file))
    rows = read(tmp_path / "a.predictions.jsonl")
    assert list(rows[0]) == ["id", "text", "prediction", "probability"]
    assert rows[1]["text"] == "{broken"
    assert rows[5]["text"] == "[]"
    assert [r.get("error", "") for r in rows[2:5]] == [
        "expected 'text' to be a string, got int",
        "'text' is empty",
        "'text' is empty",
    ]
    assert rows[6]["text"] == "\ud83d"
    assert "error" in rows[6]
    assert rows[7]["deep"] == {"a": [1]}
    assert "prediction" in rows[7]
    done(predict(file, output=tmp_path / "b.parquet"))
    assert [r["id"] for r in read(tmp_path / "b.parquet")] == [1, None, None, None, 5, None, 1.5, None]
    assert read(tmp_path / "b.parquet")[7]["deep"] == '{"a": [1]}'


def test_an_input_that_breaks_the_model_fails_alone(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from retort.engine.session import OpenvinoSession

    run = OpenvinoSession.run

    def run_or_fail(self: OpenvinoSession, batch: Any, stream: int | None = None) -> Any:
        if (batch.attention_mask.sum(axis=1) == 11).any():  # a sentence of nine letters
            raise RuntimeError("no\nkernel")
        return run(self, batch, stream)

    monkeypatch.setattr(OpenvinoSession, "run", run_or_fail)
    file = write(tmp_path / "a.csv", [*TEXTS, "a b c d e f g h i", *TEXTS])
    done(predict(file))
    rows = read(tmp_path / "a.predictions.csv")
    assert [bool(row["prediction"]) for row in rows] == [True] * 5 + [False] + [True] * 5
    assert rows[5]["error"].endswith("no kernel")


# --- columns


def test_names_that_are_taken_get_a_suffix_and_that_is_said(tmp_path: Path, predict: Callable[..., Result]) -> None:
    file = write(tmp_path / "a.csv", TEXTS, prediction=["old"] * 5, error=["e"] * 5, error_2=["f"] * 5)
    result = done(predict(file))
    rows = read(tmp_path / "a.predictions.csv")
    expected = ["id", "text", "prediction", "error", "error_2", "prediction_2", "probability", "error_3"]
    assert list(rows[0]) == expected
    assert rows[0]["prediction"] == "old"
    assert result.stderr.count("'prediction' as 'prediction_2'") == 1


def test_a_missing_column_ends_with_2_and_the_names_of_those_there(
    tmp_path: Path, predict: Callable[..., Result]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("foo,bar\n1,2\n")
    for given in ({}, {"text_column": "baz"}):
        result = predict(file, **given)
        assert result.exit_code == 2
        assert "'foo', 'bar'" in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_parquet_keeps_the_types_of_its_columns(tmp_path: Path, predict: Callable[..., Result]) -> None:
    columns = {
        "text": TEXTS,
        "at": pa.array(range(1, 6), pa.timestamp("ns")),
        "kind": pa.array(list("aabba")).dictionary_encode(),
        "vector": [[0.5, 1.5]] * 5,
        "raw": pa.array([b"\xff"] * 5),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
    done(predict(tmp_path / "a.parquet"))
    found = parquet.read_table(tmp_path / "a.predictions.parquet")
    before = parquet.read_table(tmp_path / "a.parquet")
    assert found.select(before.column_names).equals(before)
    done(predict(tmp_path / "a.parquet", output=tmp_path / "b.jsonl"))
    row = read(tmp_path / "b.jsonl")[0]
    assert (row["vector"], row["raw"]) == ([0.5, 1.5], "/w==")
    assert row["at"] == "1970-01-01 00:00:00.000000001"


# --- small files, and files that are none


@pytest.mark.parametrize("target", ["b.csv", "b.jsonl", "b.parquet"])
def test_a_header_alone_gives_a_header_alone(tmp_path: Path, predict: Callable[..., Result], target: str) -> None:
    (tmp_path / "a.csv").write_text("id,text\n")
    done(predict(tmp_path / "a.csv", output=tmp_path / target))
    assert read(tmp_path / target) == []
    if target == "b.csv":
        assert (tmp_path / target).read_text() == "id,text,prediction,probability,error\n"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_an_empty_file_ends_with_2(tmp_path: Path, predict: Callable[..., Result], name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    result = predict(tmp_path / name)
    assert result.exit_code == 2
    assert "is empty" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "nowhere/b.csv"}, "nowhere"),
        ({"output": "b.xlsx"}, ".parquet"),
        ({"output": "b.parquet.gz"}, ".parquet"),
        ({"output": "-", "resume": True}, "--resume"),
        ({"output": "-", "json": True}, "--json"),
        ({"top_k": 0}, "--top-k"),
    ],
)
def test_what_cannot_be_ends_with_2(
    tmp_path: Path, predict: Callable[..., Result], options: dict[str, object], said: str
) -> None:
    result = predict(write(tmp_path / "a.csv", TEXTS), **options)
    assert result.exit_code == 2
    assert said in result.output


def test_the_input_is_never_overwritten(tmp_path: Path, predict: Callable[..., Result]) -> None:
    file = write(tmp_path / "a.csv", TEXTS)
    assert predict(file, output=file).exit_code == 2
    (tmp_path / "link.csv").hardlink_to(file)
    assert predict(file, output=tmp_path / "link.csv").exit_code == 2


# --- killed, and gone on with

MANY = 600


@pytest.fixture
def many(tmp_path: Path) -> Path:
    words = ["how", "to", "join", "sort", "the", "list", "python", "java", "sql"]
    texts = [" ".join(words[(i * k) % 9] for k in range(1, 2 + i % 11)) for i in range(MANY)]
    texts[100], texts[101] = "", 'quoted "text"\nof two lines'
    return write(tmp_path / "a.csv", texts)


class Killed(BaseException):
    """What stands for a process that dies, where it dies in the test's own process."""


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("target", ["b.csv", "b.jsonl", "b.csv.gz", "b.parquet"])
def test_a_run_that_dies_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, served_dir: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    file = write(tmp_path / "a.csv", [f"{word} {i}" for i, word in enumerate(["how", "join", "sort"] * 12)])
    done(predict(file, output=tmp_path / target))
    whole = (tmp_path / target).read_bytes()
    (tmp_path / target).unlink()
    replace, fsync = Path.replace, os.fsync
    for n_steps in range(60):
        left = iter(range(n_steps))

        def step(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        monkeypatch.setattr(os, "fsync", lambda fd, step=step: (step(), fsync(fd)))
        monkeypatch.setattr(Path, "replace", lambda old, new, step=step: (step(), replace(old, new), step())[1])
        try:
            result = predict(file, output=tmp_path / target, resume=True)
        except Killed:
            continue
        if result.exit_code == 0:
            break
    assert n_steps > 5
    assert (tmp_path / target).read_bytes() == whole
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", target}


CHILD = """
import os, signal, sys
import retort.predict, retort.unfinished
from retort.cli import main
retort.predict.CHUNK_ROWS = 50
write, left = retort.unfinished.Unfinished.append, [int(sys.argv.pop(1))]
def append(self, *given):
    left[0] -= 1
    if not left[0]:
        self._file.write(b"torn"); self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, *given)
retort.unfinished.Unfinished.append = append
main()
"""


def run_child(n_writes: int, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(n_writes), "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize("target", ["b.csv", "b.parquet"])
def test_kill_9_in_the_middle_changes_no_byte(
    tmp_path: Path, served_dir: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, many: Path,
    target: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(retort.predict, "CHUNK_ROWS", 50)
    done(predict(many, output=tmp_path / f"whole-{target}"))
    output = tmp_path / target
    killed = run_child(6, many, "--models-dir", served_dir, "--output", output)
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    result = done(predict(many, output=output, resume=True, json=True))
    assert "Going on behind" in result.stderr
    assert json.loads(result.stdout)["n_rows"] == MANY
    assert output.read_bytes() == (tmp_path / f"whole-{target}").read_bytes()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("difference", ["input", "model", "top-k", "columns", "without --resume"])
def test_what_another_command_left_is_never_continued(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, difference: str
) -> None:
    file = write(tmp_path / "a.csv", TEXTS * 10, title=["java"] * 50)
    tiny_artifact(tmp_path / "models", seed=5)
    changed: dict[str, object] = {
        "model": {"models_dir": tmp_path / "models"},
        "top-k": {"top_k": 1},
        "columns": {"text_column": "title"},
    }.get(difference, {})
    resume = {} if difference == "without --resume" else {"resume": True}
    append = retort.unfinished.Unfinished.append

    def die(self: Any, *given: Any) -> None:
        if self.done.n_rows >= 14:
            raise Killed
        append(self, *given)

    monkeypatch.setattr(retort.unfinished.Unfinished, "append", die)
    with pytest.raises(Killed):
        predict(file, output=tmp_path / "b.csv")
    monkeypatch.undo()
    monkeypatch.setattr(retort.predict, "CHUNK_ROWS", 7)
    if difference == "input":
        write(file, [*TEXTS * 9, *TEXTS[::-1]], title=["java"] * 50)
    result = done(predict(file, output=tmp_path / "b.csv", **resume, **changed))
    assert "Going on" not in result.stderr
    if resume:
        assert f"{difference} differs" in result.stderr
    done(predict(file, output=tmp_path / "whole.csv", **changed))
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_two_processes_do_not_write_one_output(tmp_path: Path, predict: Callable[..., Result]) -> None:
    with retort.unfinished.Unfinished(tmp_path / "b.csv", {}, False, print):
        result = predict(write(tmp_path / "a.csv", TEXTS), output=tmp_path / "b.csv")
    assert result.exit_code == 2
    assert "Another process" in result.output


def test_a_file_that_changes_meanwhile_is_not_published(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.csv", TEXTS)
    load = retort.predict.load_predictor

    def load_late(*given: Any) -> Any:
        file.write_bytes(file.read_bytes() + b"6,more\n")
        return load(*given)

    monkeypatch.setattr(retort.predict, "load_predictor", load_late)
    result = predict(file)
    assert result.exit_code == 2
    assert "was changed" in result.output
    assert not (tmp_path / "a.predictions.csv").exists()


# --- what the system does


def test_a_full_disk_is_one_sentence_and_can_be_resumed(
    tmp_path: Path, served_dir: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, many: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    arguments = [many, "--models-dir", served_dir, "--output", tmp_path / "b.csv"]
    full = run_child(1000, *arguments, preexec_fn=limit)
    assert full.returncode == 1, full.stderr
    assert full.stderr.splitlines()[-1].startswith(f"retort predict: Cannot write {tmp_path / 'b.csv.part'}: File too")
    assert "--resume" in full.stderr
    assert "Traceback" not in full.stderr
    monkeypatch.setattr(retort.predict, "CHUNK_ROWS", 50)
    assert "Going on" in done(predict(many, output=tmp_path / "b.csv", resume=True)).stderr
    done(predict(many, output=tmp_path / "whole.csv"))
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_stdout_gets_the_same_and_may_be_closed_early(
    tmp_path: Path, served_dir: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, many: Path
) -> None:
    monkeypatch.setattr(retort.predict, "CHUNK_ROWS", 50)
    done(predict(many, output=tmp_path / "b.csv"))
    arguments = ["predict", str(many), "--models-dir", str(served_dir), "--output", "-"]
    command = [sys.executable, "-c", CHILD, "1000", *arguments]
    whole = subprocess.run(command, capture_output=True, check=True)
    assert whole.stdout == (tmp_path / "b.csv").read_bytes()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == b"id,text,prediction,probability,error\n"
        child.stdout.close()
        said = child.stderr.read().decode()
        assert child.wait() == 1
    assert "Traceback" not in said
    assert "Exception" not in said


LIMITED = """
import resource, sys
from retort.cli import main
try:
    main(standalone_mode=False)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(file: Path, *arguments: object) -> int:
    command = [sys.executable, "-c", LIMITED, "predict", str(file), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(ran.stdout.split()[-1])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, served_dir: Path, name: str) -> None:
    short = write(tmp_path / f"short-{name}", ["java"] * 5_000)
    long = write(tmp_path / f"long-{name}", ["java"] * 50_000)
    places = ["--models-dir", served_dir]
    assert peak_mb(long, *places) - peak_mb(short, *places) < 12


def test_it_runs_without_rich_and_pyarrow(tmp_path: Path, served_dir: Path) -> None:
    file = write(tmp_path / "a.jsonl", TEXTS)
    code = (
        "import sys; sys.modules |= dict.fromkeys(('rich', 'pyarrow', 'tensorflow', 'sklearn'))\n"
        "from retort.cli import main\nmain()"
    )
    command = [sys.executable, "-c", code, "predict", "--models-dir", str(served_dir)]
    ran = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    refused = subprocess.run([*command, str(file), "--output", str(tmp_path / "b.parquet")],
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert refused.returncode == 1
    assert "pyarrow is not installed" in refused.stderr

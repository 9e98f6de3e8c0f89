"""From a file of marked spans to a served model that finds them, by every encoder and with a CRF."""

import json
from pathlib import Path

import pytest

from encoders import write_encoders
from retort.config import EvaluateSettings
from retort.errors import BadUsage
from retort.evaluate import evaluate
from retort.tasks import Input
from test_train import run, serve, settings

TOWNS, NAMES = ("java", "sql"), ("python", "list")  # words that the tiny tokenizer knows


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoders(tmp_path_factory.mktemp("encoders"))


def sentences(n: int = 120) -> str:
    """Names of one or two words sort, join and live in towns; some sentences have none."""
    lines = []
    for i in range(n):
        name, town = NAMES[i % 2], TOWNS[i // 2 % 2]
        words = [(name, "B-PER"), *([("a", "I-PER")] if i % 4 else []), ("to", "O"), (town, "B-LOC"), (str(i), "O")]
        lines += [f"{word}\t{tag}" for word, tag in (words if i % 3 else [("how", "O"), ("to", "O"), (str(i), "O")])]
        lines.append("")
    return "\n".join(lines)


def chosen(folder: Path, encoder: Path, **more: object) -> object:
    given = {"task": "token_classification", "n_epochs": 8, "max_learn_rate": 2e-3, "dropout": 0.0} | more
    return settings(folder, encoder, sentences(), "data.conll", **given)


def found(predictor: object, text: str) -> list[tuple[str, str]]:
    (answer,) = predictor.predict([Input(text)]).answers  # type: ignore[attr-defined]
    return [(e.label, e.text) for e in answer.prediction.entities]


@pytest.mark.parametrize(
    ("encoder", "more"),
    [
        ("bert", {}),
        ("albert", {}),
        ("bert", {"crf": True, "max_seq_len": 8}),
        ("bilstm", {"n_epochs": 15, "max_learn_rate": 1e-2}),
    ],
)
def test_marked_spans_become_a_model_that_finds_them(
    tmp_path: Path, encoders: Path, encoder: str, more: dict[str, object]
) -> None:
    wanted = chosen(tmp_path, Path("bilstm") if encoder == "bilstm" else encoders / encoder, **more)
    artifact, said = run(wanted)  # type: ignore[arg-type]
    assert artifact.version.startswith(encoder.upper())
    assert artifact.served.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert (artifact.served.chain is not None) == (encoder == "bilstm" or "crf" in more)
    assert any("Published" in line and "f1" in line for line in said)
    predictor = serve(wanted)  # type: ignore[arg-type]
    assert found(predictor, "python a to  java 7") == [("PER", "python a"), ("LOC", "java")]
    assert found(predictor, "how to 3") == []
    predictor.close()
    metrics = json.loads((artifact.path / "metrics.json").read_text())
    assert metrics["test"]["f1"] > 0.8
    assert "PER" in (artifact.path / "report.html").read_text()
    assert "pipeline_tag: token-classification" in (artifact.path / "README.md").read_text()


def test_an_entity_model_is_scored_on_another_file(tmp_path: Path, encoders: Path) -> None:
    wanted = chosen(tmp_path, encoders / "bert", n_epochs=2)
    artifact, _ = run(wanted)  # type: ignore[arg-type]
    other = tmp_path / "other.jsonl"
    rows = [
        {"text": "python to java 1", "spans": [[0, 6, "PER"], [10, 14, "LOC"]]},
        {"text": "sql", "spans": [[0, 3, "PLANET"]]},
    ]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    _, evaluation = evaluate(other, EvaluateSettings(models_dir=artifact.path.parents[1]), said.append)
    assert evaluation.n == 1
    assert [score.label for score in evaluation.labels] == ["LOC", "PER"]
    assert any("PLANET" in line for line in said)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"task": "classification", "crf": True}, "--crf is for tags of words"),
        ({"crf": True, "class_weights": "balanced"}, "--class-weights"),
        ({"model": "bilstm", "few_shot": True}, "--few-shot"),
        ({"model": "bilstm", "freeze": "all"}, "--freeze"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, encoders: Path, more: dict[str, object], why: str
) -> None:
    model = Path(str(more.pop("model", encoders / "bert")))
    given = {"task": "token_classification"} | more
    if given["task"] == "classification":
        wanted = settings(tmp_path, model, **given)
    else:
        wanted = settings(tmp_path, model, sentences(), "data.conll", **given)
    with pytest.raises(BadUsage, match=why):
        run(wanted)

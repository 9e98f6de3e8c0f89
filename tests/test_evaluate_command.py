import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from artifacts import LABELS, tiny_artifact
from retort.cli import main

TEXTS = ["how to join", "sort the list", "java ?", "python", "sql list"]


def evaluate(file: Path, models_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", str(file), "--models-dir", str(models_dir), *options])


@pytest.fixture
def predicted(tmp_path: Path, served_dir: Path) -> Path:
    """A file whose labels are what the model predicts."""
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["text", *TEXTS]))
    ran = CliRunner().invoke(main, ["predict", str(file), "--models-dir", str(served_dir)])
    assert ran.exit_code == 0, ran.output
    return tmp_path / "a.predictions.csv"


def test_predictions_score_1_against_themselves(predicted: Path, served_dir: Path) -> None:
    result = evaluate(predicted, served_dir, "--label-column", "prediction", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["n_rows"] == len(TEXTS)
    assert found["scores"]["accuracy"] == found["scores"]["macro_f1"] == 1.0
    assert [score["label"] for score in found["labels"]] == list(LABELS)
    assert sum(score["support"] for score in found["labels"]) == len(TEXTS)
    shown = evaluate(predicted, served_dir, "--label-column", "prediction").stdout
    assert "accuracy 1.0000" in shown
    assert all(f"\n{label} " in shown for label in LABELS)


def test_labels_that_the_model_does_not_know_are_left_out_and_said(tmp_path: Path, served_dir: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nhow,java\njoin,cobol\n,sql\n")
    result = evaluate(tmp_path / "a.csv", served_dir, "--json")
    assert json.loads(result.stdout)["n_rows"] == 1
    assert "Left out: 1 with labels that the model does not know: 'cobol'" in result.stderr
    assert "Left out: 1 with empty text" in result.stderr
    (tmp_path / "a.csv").write_text("text,label\njoin,cobol\n")
    assert evaluate(tmp_path / "a.csv", served_dir).exit_code == 2


def test_several_labels_are_scored_where_the_model_gives_several(tmp_path: Path, served_dir: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nhow,java|sql\njoin,\nsort,[]\n")
    refused = evaluate(tmp_path / "a.csv", served_dir)
    assert refused.exit_code == 2
    assert "line 2: expected one label" in refused.output
    tiny_artifact(tmp_path / "models", task="multi_label_classification")
    result = evaluate(tmp_path / "a.csv", tmp_path / "models", "--json")
    assert result.exit_code == 0, result.output
    assert "micro_f1" in json.loads(result.stdout)["scores"]

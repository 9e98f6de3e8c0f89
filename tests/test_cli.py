import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from retort.cli import main
from retort.config import EvaluateSettings, PredictSettings, ServeSettings, TrainSettings

SAMPLES = Path(__file__).parents[1] / "samples"


def run(*arguments: str, **environment: str):
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.mark.parametrize(
    ("command", "settings"),
    [("train", TrainSettings), ("serve", ServeSettings), ("predict", PredictSettings), ("evaluate", EvaluateSettings)],
)
def test_every_setting_is_an_option_and_an_environment_variable_with_its_default_shown(command, settings):
    shown = " ".join(run(command, "--help").output.split())
    for name, field in settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert f"RETORT_{name.upper()}" in shown
        if field.default is not None and field.annotation is not bool:
            assert f"[default: {field.default}]" in shown


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--n-epochs", "0", "--n-epochs"),
        ("--n-epochs", "many", "--n-epochs"),
        ("--max-learn-rate", "nan", "--max-learn-rate"),
        ("--precision", "float8", "--precision"),
        ("--batch-size", "-1", "--batch-size"),
        ("--no-such-option", "1", "--no-such-option"),
    ],
)
def test_a_bad_option_is_named_and_ends_with_2(option, value, named):
    result = run("train", option, value)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_bad_environment_variable_is_named_too():
    result = run("train", RETORT_N_EPOCHS="few")
    assert result.exit_code == 2
    assert "--n-epochs" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere.csv"], "nowhere.csv"),
        (["--model", "no_such_encoder"], "minilm"),
        (["--task", "poetry"], "classification"),
        (["--freeze", "most"], "--freeze"),
    ],
)
def test_what_cannot_be_trained_ends_with_2_and_writes_nothing(tmp_path: Path, arguments, said):
    places = ["--models-dir", str(tmp_path / "models"), "--checkpoint-dir", str(tmp_path / "checkpoints")]
    data = [] if "--data" in arguments else ["--data", str(SAMPLES / "questions.csv")]
    result = run("train", *places, "--log-dir", str(tmp_path / "logs"), *data, *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert not list(tmp_path.iterdir())


def test_failures_are_json_when_asked_for(tmp_path: Path):
    result = run("train", "--json", "--data", str(tmp_path / "nothing.csv"))
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error_type"] == "BadData"


def test_serving_nothing_says_what_is_missing_and_ends_with_1(tmp_path: Path):
    result = run("serve", "--models-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "latest_model_config.json" in result.output


def test_settings_that_contradict_each_other_are_refused():
    result = run("train", "--min-learn-rate", "0.1", "--max-learn-rate", "0.01")
    assert result.exit_code == 2
    assert "--min-learn-rate" in result.output


@pytest.mark.parametrize("setting", ["API_KEYS", "ADMIN_KEYS"])
def test_keys_are_shown_neither_in_errors_nor_in_help(setting):
    bad = run("serve", **{f"RETORT_{setting}": "a-key-that-is-long-enough,secret"})
    assert bad.exit_code == 2
    assert "16" in bad.output
    assert "key 2 of 2" in bad.output
    assert "secret" not in bad.output
    assert "secret" not in run("serve", "--help", **{f"RETORT_{setting}": "a-secret-that-is-long"}).output

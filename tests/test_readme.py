"""What README.md and the other pages say exists, exists."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from retort.api.errors import STATUSES
from retort.api.schema import PredictResponse, parse_request
from retort.app import create_app
from retort.cli import main
from retort.config import ServeSettings, TrainSettings
from retort.data.sources import CATALOGUE
from retort.engine.registry import Registry
from retort.tasks import TASKS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "samples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_of(page: Path) -> list[str]:
    """Every fenced line and every word in backquotes, comments cut off."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [line.split("  #")[0] for block in fenced for line in block.splitlines()] + inline


def load_settings_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings", ROOT / "docs" / "settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_two_commands_are_to_start_and_to_test() -> None:
    assert re.findall(r"^make \w+", README, re.MULTILINE)[:2] == ["make start_api", "make test"]


def test_the_tables_of_settings_are_up_to_date() -> None:
    script = load_settings_script()
    assert script.fill_tables(README) == README, "run: python docs/settings.py"
    assert script.fill_tables("<!-- settings: serve -->\nold\n<!-- end -->").count("\n") > len(
        ServeSettings.model_fields
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_make_target_and_variable_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z_]+):", makefile, re.MULTILINE))
    variables = {*TrainSettings.model_fields, *re.findall(r"\w+", re.search(r"^OTHERS := (.*)$", makefile, re.M)[1])}  # type: ignore[index]
    for line in code_of(page):
        if not (found := re.match(r"make ([a-z_]+)(.*)", line)):
            continue
        assert found[1] in targets, line
        assert {name.lower() for name in re.findall(r"(?:^|\s)(\w+)=", found[2])} <= variables, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_and_option_of_retort_exists(page: Path) -> None:
    groups = [command for command in main.commands.values() if isinstance(command, click.Group)]
    options = {
        option
        for command in [*main.commands.values(), *(c for group in groups for c in group.commands.values())]
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for line in code_of(page):
        if found := re.match(r"retort ([a-z]+)(?: ([a-z]+))?", line):
            command = main.commands[found[1]]
            if isinstance(command, click.Group) and found[2]:
                command = command.commands[found[2]]
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"--[a-z-]+", line)) <= known, line
        elif re.match(r"--[a-z-]+", line) and "some-name" not in line:
            assert re.match(r"--[a-z-]+", line)[0] in options, line  # type: ignore[index]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (page.parent / link.split("#")[0]).exists(), link


def test_the_file_tree_names_what_is_there() -> None:
    tree = re.search(r"^src/retort/\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert tree
    inside = [word for line in tree[1].splitlines() if line.startswith("  ") for word in line.split("  ")[1].split()]
    assert [name for name in inside if not (ROOT / "src" / "retort" / name).exists()] == []
    rooms = {f"{folder.parent.name}/" for folder in (ROOT / "src" / "retort").glob("*/__init__.py")}
    assert rooms - {*inside} == set()
    outside = [
        word for line in tree[1].splitlines() if not line.startswith("  ") for word in line.split() if "/" in word
    ]
    assert [name for name in outside if not (ROOT / name).exists()] == []


def test_every_error_of_the_api_is_listed_with_its_status() -> None:
    listed = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", README, re.MULTILINE))
    assert {(str(status), error.__name__) for error, status in STATUSES.items()} <= listed
    known = {error.__name__ for error in STATUSES} | {
        "NotFound",
        "MethodNotAllowed",
        "UnsupportedBody",
        "InternalError",
    }
    assert {name for _, name in listed} <= known


def test_the_request_shown_is_one_and_the_answer_has_the_keys_shown() -> None:
    body = re.search(r"-d '(.*?)'", README, re.DOTALL)
    answer = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert body
    assert answer
    request = parse_request(body[1].encode(), TASKS["classification"], 10)
    shown = PredictResponse.model_validate(json.loads(answer[1]))
    assert len(shown.predictions) == len(shown.probabilities) == len(shown.usage) == len(request.inputs)
    keys = set(re.findall(r"^\| `(\w+)` \|", README.split("It answers:")[1].split("Every error")[0], re.MULTILINE))
    assert keys == set(PredictResponse.model_fields)


def test_every_key_of_the_access_log_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    create_app(registry=Registry(Path("models"))).test_client().get("/health_check")
    line = json.loads(capsys.readouterr().out)
    assert [key for key in line if f"`{key}`" not in README] == []


def test_every_pretrained_encoder_is_named() -> None:
    assert [name for name in CATALOGUE if f"`{name}`" not in README] == []


def test_commands_have_a_sentence_each() -> None:
    context = click.Context(main)
    assert all(main.get_command(context, name).help for name in main.list_commands(context))  # type: ignore[union-attr]

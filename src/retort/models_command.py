"""`retort models`: what is published, what serves, and changing it.  A running server follows within a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def build_models(command: type[click.Command]) -> click.Group:
    """The group; `command` is the class that turns errors into exit codes."""
    models_dir = click.option(
        "--models-dir", type=click.Path(path_type=Path), default=Path("models"), envvar="RETORT_MODELS_DIR",
        show_default=True, help="Where trained models live.",
    )  # fmt: skip
    json_output = click.option("--json", "json_output", is_flag=True, help="Print the result as JSON, for machines.")
    name = click.option("--as", "name", default="default", show_default=True, metavar="NAME",
                        help="Which of the models that serve; /models/NAME/predict asks a further one.")  # fmt: skip

    @click.group()
    def models() -> None:
        """List the trained models, and choose which serve; a running server follows."""

    @models.command("list", cls=command)
    @models_dir
    @json_output
    def list_(models_dir: Path, json_output: bool) -> None:
        """Show every trained model, the newest first."""
        rows = _describe_all(models_dir)
        click.echo(json.dumps({"models": rows}) if json_output else _to_table(rows) or "No model was trained yet.")

    @models.command(cls=command)
    @click.argument("model")
    @name
    @models_dir
    @json_output
    def use(model: str, name: str, models_dir: Path, json_output: bool) -> None:
        """Let MODEL serve: a folder, or the name of the newest one called so."""
        from retort.pointer import write_pointer
        from retort.shelf import choose, find_model

        pointer = choose(models_dir, find_model(models_dir, model), name)
        write_pointer(models_dir, pointer, name)
        _say(json_output, f"{name}: {pointer.model_dir} serves from now on.", name=name, model_dir=pointer.model_dir)

    @models.command(cls=command)
    @name
    @models_dir
    @json_output
    def rollback(name: str, models_dir: Path, json_output: bool) -> None:
        """Let the model serve that served before."""
        from retort.pointer import rewind_pointer
        from retort.shelf import choose_previous

        pointer = choose_previous(models_dir, name)
        rewind_pointer(models_dir, pointer, name)
        _say(json_output, f"{name}: {pointer.model_dir} serves again.", name=name, model_dir=pointer.model_dir)

    @models.command(cls=command)
    @click.argument("name")
    @models_dir
    @json_output
    def stop(name: str, models_dir: Path, json_output: bool) -> None:
        """Let the further model NAME serve no longer; its folder stays."""
        from retort.pointer import remove_pointer

        remove_pointer(models_dir, name)
        _say(json_output, f"{name} serves no longer.", name=name)

    @models.command(cls=command)
    @click.argument("model")
    @models_dir
    @json_output
    def remove(model: str, models_dir: Path, json_output: bool) -> None:
        """Delete the folder of a trained model that does not serve."""
        from retort.shelf import remove_published

        removed = remove_published(models_dir, model)
        _say(json_output, f"Removed {removed}.", model_dir=str(removed))

    return models


def _say(json_output: bool, sentence: str, **facts: str) -> None:
    click.echo(json.dumps(facts) if json_output else sentence)


def _describe_all(models_dir: Path) -> list[dict[str, Any]]:
    from retort.errors import BadArtifact
    from retort.shelf import find_serving, list_published, name_of

    try:
        serving = find_serving(models_dir)
    except BadArtifact as e:
        serving = {}
        click.echo(f"retort models list: {e}", err=True)
    rows: list[dict[str, Any]] = []
    for folder, found in list_published(models_dir):
        names = [name for name, served in serving.items() if served == folder.resolve()]
        row: dict[str, Any] = {"model_dir": folder.name, "name": name_of(folder), "serves_as": names}
        if isinstance(found, BadArtifact):
            rows.append(row | {"error": str(found)})
            continue
        served = found.served
        row |= {"model": found.version, "created": found.created.isoformat(), "task": served.task}
        rows.append(row | {"labels": list(served.labels), "test": _read_scores(folder)})
    return rows


def _read_scores(folder: Path) -> dict[str, float]:
    """Of the test rows, the first being the one that matters; imported models have none."""
    from retort.disk import read_json
    from retort.errors import BadArtifact

    try:
        scores = read_json(folder / "metrics.json").get("test")
    except BadArtifact:
        return {}
    return {k: v for k, v in scores.items() if isinstance(v, int | float)} if isinstance(scores, dict) else {}


def _to_table(rows: list[dict[str, Any]]) -> str:
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "FOLDER": lambda row: str(row["model_dir"]),
        "CREATED": lambda row: str(row.get("created", ""))[:16].replace("T", " "),
        "TASK": lambda row: str(row.get("task", "")),
        "LABELS": lambda row: str(len(row["labels"])) if "labels" in row else "",
        "TEST": lambda row: next((f"{name} {score:.3f}" for name, score in row.get("test", {}).items()), ""),
        "SERVES AS": lambda row: ", ".join(row["serves_as"]) or (f"damaged: {row['error']}" if "error" in row else ""),
    }
    if not rows:
        return ""
    cells = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)

"""The `retort` command: options become settings, errors become exit codes (0 done, 1 failed, 2 bad usage).

Options are made from the settings' classes, so each is also an environment variable (`RETORT_<NAME>`).
"""

import dataclasses
import functools
import json
import os
import signal
import sys
import tempfile
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from retort import __version__
from retort.config import EvaluateSettings, PredictSettings, ServeSettings, Settings, TrainSettings
from retort.errors import BadUsage, RetortError
from retort.models_command import build_models


class Command(click.Command):
    """A command whose failures end in one sentence on stderr (and, with `--json`, one object on stdout)."""

    def __init__(self, *args: Any, on_interrupt: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_interrupt = on_interrupt

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; RetortError gives exit code 2 for what the user can mend in the command, 1 for everything else."""
        try:
            return super().invoke(ctx)
        except RetortError as e:
            if ctx.params.get("json_output"):
                click.echo(json.dumps({"error": str(e), "error_type": type(e).__name__}))
            click.echo(f"retort {ctx.command_path.partition(' ')[2]}: {e}", err=True)
            ctx.exit(2 if isinstance(e, BadUsage) else 1)
        except ModuleNotFoundError as e:
            click.echo(
                f"retort {self.name}: {e.name} is not installed; it comes with: pip install 'retort[train]'", err=True
            )
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo(f"\nretort {self.name}: stopped.{self.on_interrupt}", err=True)
            ctx.exit(130)


def settings_options(settings: type[Settings]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each field of `settings`, and its function the checked object."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def collect(**given: Any) -> Any:
            chosen = {name: given.pop(name) for name in settings.model_fields}
            try:
                checked = settings(**{name: value for name, value in chosen.items() if value is not None})
            except ValidationError as e:
                raise click.UsageError("; ".join(_explain(error, settings) for error in e.errors())) from e
            return function(checked, **given)

        command: Callable[..., Any] = collect
        for name, field in reversed(settings.model_fields.items()):
            command = _option(name, field)(command)
        return command

    return decorate


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"--{name.replace('_', '-')}"
    default = "" if field.default is None else f"  [default: {field.default}]"
    choices = _choices(field.annotation)
    kind: Any = click.Choice(choices) if choices else str
    declaration, more = (f"{flag}/--no-{flag[2:]}", {}) if field.annotation is bool else (flag, {"type": kind})
    return click.option(
        declaration,
        name,
        default=None,
        envvar=f"RETORT_{name.upper()}",
        show_envvar=True,
        help=f"{field.description}{default}",
        **more,
    )


def _choices(annotation: Any) -> list[str]:
    """The values of `Literal[...]` or `Literal[...] | None`."""
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return [value for part in parts if typing.get_origin(part) is Literal for value in typing.get_args(part)]


def _explain(error: Any, settings: type[Settings]) -> str:
    if not error["loc"]:  # of several settings together
        return str(error["msg"])
    field = str(error["loc"][0])
    is_secret = SecretStr in typing.get_args(settings.model_fields[field].annotation)
    return f"--{field.replace('_', '-')}: {error['msg']}" + ("" if is_secret else f", got {error['input']!r}")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep back what TensorFlow's libraries write while they load; nobody can act on it. Failures still show it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


json_option = click.option("--json", "json_output", is_flag=True, help="Print the result as JSON, for machines.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="retort")
def main() -> None:
    """Fine-tune BERT and ALBERT on labelled text, and serve them as a JSON API."""


@main.command(cls=Command, on_interrupt=" The same command with --resume goes on where it was.")
@settings_options(TrainSettings)
@click.option("--tensorboard-port", type=int, help="Show TensorBoard on this port while training.")
@json_option
def train(settings: TrainSettings, tensorboard_port: int | None, json_output: bool) -> None:
    """Fine-tune an encoder on labelled text and publish the model."""
    with quiet_stderr():
        from retort.train import train as run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: TensorBoard ends, drafts are removed
    artifact = run(settings, lambda line: click.echo(line, err=True), tensorboard_port)
    if json_output:
        metrics = json.loads((artifact.path / "metrics.json").read_text(encoding="utf-8"))
        click.echo(json.dumps({"model_dir": str(artifact.path), "model": artifact.version, "metrics": metrics}))


@main.command(cls=Command)
@settings_options(ServeSettings)
def serve(settings: ServeSettings) -> None:
    """Serve the model that `latest_model_config.json` names."""
    from retort.serve import serve as run

    sys.exit(run(settings))


@main.command(cls=Command, on_interrupt=" The same command with --resume goes on where it was.")
@click.argument("file", type=click.Path(path_type=Path))
@settings_options(PredictSettings)
@json_option
def predict(settings: PredictSettings, file: Path, json_output: bool) -> None:
    """Score FILE (.csv .tsv .jsonl .parquet, also .gz), whatever its size, and write it with predictions."""
    from retort.choices import STDOUT
    from retort.predict import predict as run

    if json_output and settings.output == STDOUT:
        raise click.UsageError("--json and --output - both write to the terminal; choose one of them.")
    found = run(file, settings, lambda line: click.echo(line, err=True))
    if json_output:
        click.echo(json.dumps(dataclasses.asdict(found)))
    failed = f" ({found.n_failed:,} of them have an error instead)" if found.n_failed else ""
    click.echo(
        f"Scored {found.n_rows:,} rows{failed} with {found.model} at {found.texts_per_s:,.0f} texts/s: {found.output}",
        err=True,
    )


@main.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@settings_options(EvaluateSettings)
@json_option
def evaluate(settings: EvaluateSettings, file: Path, json_output: bool) -> None:
    """Score the model that serves, or another, on the labelled texts of FILE."""
    from retort.evaluate import describe, to_json
    from retort.evaluate import evaluate as run

    artifact, found = run(file, settings, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(to_json(artifact, found)) if json_output else f"{artifact.version}\n{describe(found)}")


@main.command("import", cls=Command)
@click.argument("old_folder", type=click.Path(path_type=Path))
@click.option("--models-dir", type=click.Path(path_type=Path), default=Path("models"), envvar="RETORT_MODELS_DIR",
              show_default=True, help="Where trained models live.")  # fmt: skip
@json_option
def import_(old_folder: Path, models_dir: Path, json_output: bool) -> None:
    """Turn a folder that the older, bert-for-tf2 based project trained into a served model."""
    with quiet_stderr():
        from retort.importer import import_legacy

    artifact = import_legacy(old_folder, models_dir)
    click.echo(json.dumps({"model_dir": str(artifact.path), "model": artifact.version}) if json_output
               else f"Imported {old_folder} as {artifact.path}; it is served from now on.")  # fmt: skip


@main.command(cls=Command)
@click.argument("names", nargs=-1, required=True)
def download(names: tuple[str, ...]) -> None:
    """Fetch encoders by name, or `stackoverflow`, the data set of programming questions."""
    from retort.data.sources import download_data, resolve_encoder
    from retort.training.progress import DownloadProgress

    for name in names:
        with DownloadProgress(name) as progress:
            found = (
                download_data(progress=progress)
                if name == "stackoverflow"
                else resolve_encoder(name, progress=progress)
            )
        click.echo(f"{name}: {found}")


main.add_command(build_models(Command))

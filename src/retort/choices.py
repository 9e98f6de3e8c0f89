"""What a command means by its model and its output."""

from pathlib import Path

from retort.artifact import Artifact, load_artifact, load_pointed, resolve
from retort.data.files import split_suffix
from retort.errors import BadUsage, UnknownModel
from retort.pointer import DEFAULT, FILE, look_at_pointer, parse_pointers

STDOUT = "-"
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}


def choose_output(file: Path, found: str, given: str | None, resume: bool) -> tuple[Path | None, str]:
    """The file to write, None for stdout, and its format.  Raises BadUsage: it cannot be."""
    name = {"tsv": "csv"}.get(found, found)
    if given == STDOUT:
        if resume:
            raise BadUsage("--resume needs a file to go on with; give --output another name than -.")
        return None, "jsonl" if name == "parquet" else name
    stem = Path(file.name.removesuffix(".gz")).stem
    output = Path(given) if given else file.with_name(f"{stem}.predictions.{name}")
    suffix, is_packed = split_suffix(output)
    if suffix not in FORMATS or (is_packed and FORMATS[suffix] == "parquet"):
        raise BadUsage(f"Cannot write {output}: expected a name in .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet, or -.")
    if output.is_dir() or not output.parent.is_dir():
        raise BadUsage(f"Cannot write {output}: it {'is a folder' if output.is_dir() else 'lies in no folder'}.")
    if output.exists() and output.samefile(file):
        raise BadUsage(f"--output is {file} itself; choose another name.")
    return output, FORMATS[suffix]


def choose_artifact(models_dir: Path, model: str | None) -> Artifact:
    """The model of that folder or name, or the one that serves.  Raises UnknownModel, BadArtifact."""
    if model is None:
        return load_pointed(models_dir)
    for folder in (Path(model), models_dir / model, models_dir / "trained" / model):
        if (folder / "manifest.json").exists():
            return load_artifact(folder)
    pointers = parse_pointers(models_dir, look_at_pointer(models_dir))
    if model in pointers.faults:
        raise pointers.faults[model]
    if model not in pointers.models:
        known = ", ".join(name for name in pointers.models if name != DEFAULT) or "none"
        raise UnknownModel(
            f"There is no model {model!r}; expected a model's folder, or a name in "
            f"{models_dir / FILE}, which has: {known}."
        )
    return resolve(models_dir, pointers.models[model])

"""The models on the shelf: which are published, which serve, and how another one is chosen.

What the command line and the administrator's addresses share.  Everything that is pointed to was verified before.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from retort.artifact import Artifact, load_artifact
from retort.disk import sync
from retort.errors import BadArtifact, CannotWrite, ModelInUse, UnknownModel
from retort.pointer import DEFAULT, Pointer, check_name, look_at_pointer, parse_pointers

FOLDER = re.compile(r"\d{14}_(?P<name>.+?)(-\d+)?")


def list_published(models_dir: Path) -> Iterator[tuple[Path, Artifact | BadArtifact]]:
    """Every folder below `trained/`, the newest first, and what it holds or why it cannot be read; checksums are not
    verified."""
    folders = [p for p in _folders(models_dir) if not p.name.startswith(".")]
    for folder in sorted(folders, key=lambda p: p.name, reverse=True):
        try:
            yield folder, load_artifact(folder, verify=False)
        except BadArtifact as e:
            yield folder, e


def find_serving(models_dir: Path) -> dict[str, Path]:
    """The folder that each name points to.  Raises BadArtifact: the pointer cannot be read."""
    found = parse_pointers(models_dir, look_at_pointer(models_dir))
    return {name: _real(models_dir / pointer.model_dir) for name, pointer in found.models.items()}


def find_published(models_dir: Path, given: str) -> Path:
    """A folder below `trained/` by its name, by `trained/<name>`, or the newest model called `given`.

    Raises UnknownModel: there is none.
    """
    folders = {p.name: p for p in sorted(_folders(models_dir)) if not p.name.startswith(".")}
    name = given.removeprefix("trained/").rstrip("/")
    if name in folders:
        return folders[name]
    called = [p for n, p in folders.items() if (match := FOLDER.fullmatch(n)) and match["name"] == given]
    if called:
        return called[-1]
    raise UnknownModel(
        f"There is no model {given!a} in {models_dir / 'trained'}; "
        + (f"expected one of {', '.join(list(folders)[-5:])}." if folders else "nothing was published yet.")
    )


def find_model(models_dir: Path, given: str) -> Path:
    """As `find_published`, or any other folder.  Raises UnknownModel: there is none."""
    try:
        return find_published(models_dir, given)
    except UnknownModel:
        folder = Path(given)
        if given and folder.is_dir():
            return folder
        raise


def choose(models_dir: Path, folder: Path, name: str = DEFAULT) -> Pointer:
    """What `name` should point to so that `folder` serves, every byte of it verified.

    Raises BadArtifact: it is damaged, or `name` cannot be a model's.
    """
    if name != DEFAULT:
        check_name(name)
    artifact = load_artifact(folder)
    return Pointer(_shorten(models_dir, folder), name_of(folder), artifact.served.max_seq_len)


def choose_previous(models_dir: Path, name: str = DEFAULT) -> Pointer:
    """The model that served before under `name`, verified; without a history, the next older one that was published.

    Raises BadArtifact: it is damaged; UnknownModel: there is none.
    """
    found = parse_pointers(models_dir, look_at_pointer(models_dir))
    if name in found.faults:
        raise found.faults[name]
    if name not in found.models:
        raise UnknownModel(f"No model serves as {name!a}; expected one of {', '.join(found.models)}.")
    current = found.models[name]
    history = [p for p in current.previous if (models_dir / p).is_dir()]  # some may have been removed since
    if not history:
        history = [_shorten(models_dir, p) for p in _older(models_dir, models_dir / current.model_dir)]
        if not history:
            raise UnknownModel(f"No model served as {name!a} before, and no older one was published.")
        history = history[:1]
    chosen = choose(models_dir, models_dir / history[0], name)
    return Pointer(chosen.model_dir, chosen.model_type, chosen.max_seq_len, tuple(history[1:]))


def remove_published(models_dir: Path, given: str) -> Path:
    """Delete a model that does not serve.  A process that dies meanwhile leaves it whole, or out of sight.

    Raises ModelInUse; UnknownModel: there is none; BadArtifact: the pointer cannot be read; CannotWrite.
    """
    folder = find_published(models_dir, given)
    names = [name for name, served in find_serving(models_dir).items() if served == _real(folder)]
    if names:
        raise ModelInUse(f"{folder} serves as {', '.join(names)}; let another model serve first.")
    try:
        hidden = folder.with_name(f".draft-{uuid.uuid4().hex}")  # what is left of it is swept later
        folder.rename(hidden)
        sync(folder.parent)
        hidden.unlink() if hidden.is_symlink() else shutil.rmtree(hidden)
    except OSError as e:
        raise CannotWrite(e.errno, e.strerror or str(e), str(folder)) from e
    return folder


def name_of(folder: Path) -> str:
    """A model's name, for people: what follows the date."""
    match = FOLDER.fullmatch(folder.name)
    return match["name"] if match else folder.name


def _older(models_dir: Path, folder: Path) -> list[Path]:
    """Readable models made before the one in `folder`, the newest first; all of them where that one is elsewhere."""
    readable = [(a.created, p.name, p) for p, a in list_published(models_dir) if isinstance(a, Artifact)]
    serving = next((entry for entry in readable if _real(entry[2]) == _real(folder)), None)
    return [p for *_, p in sorted(entry for entry in readable if serving is None or entry < serving)][::-1]


def _folders(models_dir: Path) -> list[Path]:
    trained = models_dir / "trained"
    return [p for p in trained.iterdir() if p.is_dir()] if trained.is_dir() else []


def _shorten(models_dir: Path, folder: Path) -> str:
    """Relative to the models folder where it lies in it: such a pointer survives a move."""
    real, top = _real(folder), _real(models_dir)
    return real.relative_to(top).as_posix() if real.is_relative_to(top) else str(real)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))

"""The pointer: which artifacts serve, by name.  People edit it by hand, so whatever is wrong with it is said."""

import contextlib
import errno
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retort.data.lock import exclusive
from retort.disk import read_json, sync, write_json
from retort.errors import BadArtifact, CannotWrite, ModelInUse, UnknownModel

FILE = "latest_model_config.json"
DEFAULT = "default"  # the name of the model at the top level
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_PREVIOUS = 5
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some network mounts


@dataclass(frozen=True, slots=True)
class Pointer:
    """One model of `latest_model_config.json`."""

    model_dir: str  # relative to the models folder, or absolute
    model_type: str = ""  # the model's name, for people
    max_seq_len: int | None = None  # serve shorter than trained
    previous: tuple[str, ...] = ()  # the folders that served before, the latest first


@dataclass(frozen=True, slots=True)
class Pointers:
    """The whole file: the default model at its top level, further ones under `models`; what is wrong with any."""

    models: dict[str, Pointer]
    faults: dict[str, BadArtifact]


@dataclass(frozen=True, slots=True)
class Look:
    """The file at one moment.  Two looks are equal if nobody wrote it between them."""

    content: bytes
    error: str = ""  # why there is no content
    mtime_ns: int = 0
    inode: int = 0


def look_at_pointer(models_dir: Path) -> Look:
    """Content and all: on network mounts only opening a file shows what another machine wrote, and some clocks are
    too coarse to tell two edits apart."""
    try:
        with (models_dir / FILE).open("rb") as file:
            content = file.read()
            stat = (models_dir / FILE).stat()
    except FileNotFoundError:
        return Look(
            b"",
            f"There is no {models_dir / FILE}, which names the model to serve: train one (make train), or, in a "
            "container, mount the folder of models at /models.",
        )
    except (OSError, ValueError) as e:
        return Look(b"", f"Cannot read {models_dir / FILE}: {getattr(e, 'strerror', None) or e}.")
    return Look(content, "", stat.st_mtime_ns, stat.st_ino)


def parse_pointers(models_dir: Path, look: Look) -> Pointers:
    """What the file says of each model.

    Raises BadArtifact: it is missing, or no JSON object, or its `models` are none.
    """
    file = models_dir / FILE
    if look.error:
        raise BadArtifact(look.error)
    try:
        content = json.loads(look.content)
    except (ValueError, RecursionError) as e:
        raise BadArtifact(f"{file} is not JSON: {e}.") from e
    if not isinstance(content, dict):
        raise BadArtifact(f"{file}: expected a JSON object, got {type(content).__name__}.")
    further = content.get("models", {})
    if not isinstance(further, dict):
        raise BadArtifact(f"{file}: expected `models` to be an object, models by name; got {type(further).__name__}.")
    found = Pointers({}, {})
    for key, name, entry in [("", DEFAULT, content), *((f"models.{name}", name, e) for name, e in further.items())]:
        try:
            if key:
                check_name(name, f"{file}: ")
            found.models[name] = _parse(file, key, entry)
        except BadArtifact as e:
            found.faults[DEFAULT if not key else name if name != DEFAULT else key] = e
    return found


def read_pointer(models_dir: Path, name: str = DEFAULT) -> Pointer:
    """One model of `latest_model_config.json`.

    Raises BadArtifact: the file is missing, no JSON, or its entry is missing or damaged.
    """
    found = parse_pointers(models_dir, look_at_pointer(models_dir))
    if name in found.faults:
        raise found.faults[name]
    if name not in found.models:
        known = ", ".join(found.models)
        raise BadArtifact(f"{models_dir / FILE} names no model {name!r}; it has {known}.")
    return found.models[name]


def check_name(name: str, where: str = "") -> None:
    """Raises BadArtifact: no further model can be called that."""
    if not NAME.fullmatch(name) or name == DEFAULT:
        raise BadArtifact(
            f"{where}`models` has a model named {name[:80]!a}; expected up to 64 letters, digits, dots, dashes and "
            f"underscores, a letter or digit first, and not {DEFAULT!r}."
        )


def write_pointer(models_dir: Path, pointer: Pointer, name: str = DEFAULT) -> None:
    """Point `name` to another model; the one before it joins `previous`, and everything else in the file is kept.

    The file is replaced atomically.  Raises BadArtifact: a further model cannot join a damaged file; CannotWrite.
    """

    def change(old: dict[str, Any]) -> Pointer:
        before = old.get("model_dir")
        history = [before] if isinstance(before, str) and before != pointer.model_dir else []
        history += [folder for folder in _history(old) if folder not in (before, pointer.model_dir)]
        return Pointer(pointer.model_dir, pointer.model_type, pointer.max_seq_len, tuple(history[:MAX_PREVIOUS]))

    _edit(models_dir, name, change)


def rewind_pointer(models_dir: Path, pointer: Pointer, name: str = DEFAULT) -> None:
    """Point `name` back to a model that served before; `pointer.previous` is all that is left before it."""
    _edit(models_dir, name, lambda old: pointer)


def remove_pointer(models_dir: Path, name: str) -> None:
    """Take a further model out of the file.  Raises UnknownModel: it has none of that name; ModelInUse: the default."""
    if name == DEFAULT:
        raise ModelInUse("The default model has no end; let another one serve in its place.")
    _edit(models_dir, name, lambda old: None)


def _edit(models_dir: Path, name: str, change: Callable[[dict[str, Any]], Pointer | None]) -> None:
    try:
        _edit_in_turn(models_dir, name, change)
    except OSError as e:
        raise CannotWrite(e.errno, e.strerror or str(e), e.filename or str(models_dir / FILE)) from e


def _edit_in_turn(models_dir: Path, name: str, change: Callable[[dict[str, Any]], Pointer | None]) -> None:
    with _turn(models_dir):
        content: dict[str, Any] = {}
        with contextlib.ExitStack() as forgiven:
            if name == DEFAULT:  # no pointer yet, or a damaged one: nothing to keep
                forgiven.enter_context(contextlib.suppress(BadArtifact))
            content = read_json(models_dir / FILE)
        if name == DEFAULT:
            pointer = change(content)
            known = ("model_dir", "model_type", "max_seq_len", "previous")
            content = _entry(pointer) | {key: value for key, value in content.items() if key not in known}
        else:
            _edit_further(models_dir / FILE, content, name, change)
        _replace(models_dir, content)


def _edit_further(
    file: Path, content: dict[str, Any], name: str, change: Callable[[dict[str, Any]], Pointer | None]
) -> None:
    further = content.setdefault("models", {})
    if not isinstance(further, dict):
        raise BadArtifact(f"{file}: expected `models` to be an object, models by name; got {type(further).__name__}.")
    old = further.get(name)
    if (pointer := change(old if isinstance(old, dict) else {})) is not None:
        check_name(name)
        further[name] = _entry(pointer)
    elif further.pop(name, None) is None:
        raise UnknownModel(f"{file} names no model {name!a}; nothing was removed.")
    if not further:
        del content["models"]


def _entry(pointer: Pointer | None) -> dict[str, Any]:
    assert pointer is not None  # noqa: S101  (only further models are taken out)
    entry = {"model_dir": pointer.model_dir, "model_type": pointer.model_type, "max_seq_len": pointer.max_seq_len}
    return entry | ({"previous": list(pointer.previous)} if pointer.previous else {})


def _parse(file: Path, key: str, entry: Any) -> Pointer:
    at = f"{key}." if key else ""
    if not isinstance(entry, dict):
        raise BadArtifact(f"{file}: expected `{key}` to be an object with `model_dir`, got {type(entry).__name__}.")
    model_dir, max_seq_len = entry.get("model_dir"), entry.get("max_seq_len")
    if not isinstance(model_dir, str) or not model_dir or "\0" in model_dir:
        raise BadArtifact(
            f"{file} has no `{at}model_dir`; expected the model's folder, such as `trained/2026…_minilm`."
        )
    if max_seq_len is not None and (type(max_seq_len) is not int or max_seq_len < 3):
        raise BadArtifact(
            f"{file}: expected `{at}max_seq_len` to be a whole number of at least 3, got {max_seq_len!r}."
        )
    if not isinstance(model_type := entry.get("model_type", ""), str):
        raise BadArtifact(f"{file}: expected `{at}model_type` to be a string, got {type(model_type).__name__}.")
    return Pointer(model_dir, model_type, max_seq_len, _history(entry))


def _history(entry: dict[str, Any]) -> tuple[str, ...]:
    previous = entry.get("previous")
    return tuple(p for p in previous if isinstance(p, str) and p) if isinstance(previous, list) else ()


@contextlib.contextmanager
def _turn(models_dir: Path) -> Iterator[None]:
    """One writer at a time, where the disk knows locks."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive(models_dir / f".{FILE}.lock"))
        except OSError as e:
            if e.errno not in _WITHOUT_LOCKS:
                raise
        yield


def _replace(models_dir: Path, content: dict[str, Any]) -> None:
    file = models_dir / FILE
    draft = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        write_json(draft, content)
        sync(draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    sync(models_dir)

"""What a trained model is on disk: the only contract between training and serving.

    models/trained/<YYYYmmddHHMMSS>_<name>/   one artifact: whole, self-contained, never changed once published
    models/latest_model_config.json           the pointer: which artifact serves; people edit it by hand

An artifact is written under a temporary name, synced and renamed; then the pointer is replaced atomically.  A process
that dies at any moment leaves the old state or the new one, whole.
"""

import contextlib
import hashlib
import math
import re
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from retort.config import LongText
from retort.disk import read_bytes, read_json, sha256, sync, write_json
from retort.errors import BadArtifact, CannotWrite, InvalidInput
from retort.pointer import Pointer, read_pointer, write_pointer
from retort.tasks import TASKS, Decoding, Input, Task
from retort.tasks.chain import Chain
from retort.tokenization.encoding import Encoding, extend
from retort.tokenization.spelling import spell_encoding
from retort.tokenization.tokenizer import Tokenizer

MANIFEST = "manifest.json"
DRAFT_LIFETIME_S = 24 * 3600
MAX_CHARACTERS = 64
MAX_SEQ_LEN = 2**16  # no model reads longer; a damaged number would ask for all memory

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Served:
    """What serving needs to know of a model beyond its files: `config.json`'s `retort` object."""

    task: str
    max_seq_len: int
    long_text: LongText
    labels: tuple[str, ...]
    temperature: float = 1.0
    threshold: float = 0.5
    graph: str = "model.onnx"  # the ONNX file that answers
    fixed_length: bool = False  # as bert-for-tf2 trains: padded to max_seq_len, and attending to the padding
    precision: Precision = "float32"  # of what the graph does not compute in 8 bits, on processors that have it
    n_characters: int = 0  # of each token that the model reads beside its id
    chain: Chain | None = None  # what was learned of how tags follow each other

    @property
    def decoding(self) -> Decoding:
        """How this model's logits are read."""
        return Decoding(self.labels, self.temperature, self.threshold, self.chain)

    def to_json(self) -> dict[str, Any]:
        """`config.json`'s `retort` object; the labels are its `id2label`."""
        facts = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("labels", "chain")}
        return facts if self.chain is None else facts | {"chain": self.chain.to_json()}

    def encode(self, inputs: Sequence[Input], tokenizer: Tokenizer) -> list[list[Encoding]]:
        """The encodings of each input, as the model saw them in training.

        Raises InvalidInput, naming the index: a pair for a model of `fixed_length`, which learned from single texts.
        """
        pair = next((index for index, given in enumerate(inputs) if given.text_pair is not None), None)
        if self.fixed_length and pair is not None:
            raise InvalidInput(f"x[{pair}]: expected a string, got a pair; this model learned from single texts only.")
        found = TASKS[self.task].encode(inputs, tokenizer, self.max_seq_len, self.long_text)
        if self.n_characters:
            texts = [given.text for given in inputs]
            return [
                [spell_encoding(e, text, tokenizer, self.n_characters) for e in encodings]
                for text, encodings in zip(texts, found, strict=True)
            ]
        if self.fixed_length:
            return [[extend(e, self.max_seq_len, tokenizer.pad_id) for e in encodings] for encodings in found]
        return found

    def blank(self, tokenizer: Tokenizer, length: int) -> Encoding:
        """An encoding of so many tokens that say nothing."""
        characters = [[0] * self.n_characters] * length if self.n_characters else None
        return Encoding([tokenizer.cls_id] * length, length, characters=characters)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One published model."""

    path: Path
    family: str  # "BERT" or "ALBERT"
    created: datetime
    checksum: str  # SHA-256 of the manifest, hex
    served: Served

    @property
    def version(self) -> str:
        """What each answer names, such as `BERT 2026-01-06 22:06:23 4b4e44b2`."""
        return f"{self.family} {self.created:%Y-%m-%d %H:%M:%S} {self.checksum[:8]}"

    @property
    def task(self) -> Task:
        """The meaning of its logits."""
        return TASKS[self.served.task]


def publish(models_dir: Path, name: str, write: Callable[[Path], None], created: datetime | None = None) -> Artifact:
    """Let `write` fill a new folder, then make it the artifact `<created>_<name>` and point to it.

    Whatever `write` raises leaves `models_dir` as it was.  `created` is UTC, now when not given; a folder of the same
    second gets the next free one.

    Raises CannotWrite: the disk is full, or the folder may not be written.
    """
    created = (created or datetime.now(UTC)).replace(microsecond=0)
    try:
        return _publish(models_dir, name, write, created)
    except OSError as e:
        raise CannotWrite(e.errno, e.strerror or str(e), e.filename or str(models_dir)) from e


def _publish(models_dir: Path, name: str, write: Callable[[Path], None], created: datetime) -> Artifact:
    trained = models_dir / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    _sweep(trained)
    draft = trained / f".draft-{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        write(draft)
        write_json(draft / MANIFEST, {"created": created.isoformat(), "files": _checksums(draft)})
        load_artifact(draft)
        for file in [*draft.rglob("*"), draft]:
            sync(file)
        final = _rename_to_free_name(draft, trained, created, name)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync(trained)
    artifact = load_artifact(final, verify=False)
    write_pointer(models_dir, Pointer(f"trained/{final.name}", name, artifact.served.max_seq_len))
    return artifact


def load_artifact(path: Path, verify: bool = True) -> Artifact:
    """Read one artifact; with `verify`, every file's checksum too.

    Raises BadArtifact, naming the file: one is missing, changed or cannot be understood.
    """
    try:
        is_there = path.is_dir()
    except OSError as e:
        raise BadArtifact(f"Cannot read the model folder {path}: {e.strerror}.") from e
    if not is_there:
        raise BadArtifact(f"There is no model folder {path}.")
    raw = read_bytes(path / MANIFEST)
    manifest, config = read_json(path / MANIFEST), read_json(path / "config.json")
    try:
        files = dict(manifest["files"])
        created = datetime.fromisoformat(manifest["created"])
    except (KeyError, TypeError, ValueError) as e:
        raise BadArtifact(f"{path / MANIFEST} is damaged: expected `created` and `files` ({e!r}).") from e
    if verify:
        for file, expected in files.items():
            if sha256(path / file) != expected:
                raise BadArtifact(f"{path / file} was changed or damaged: its SHA-256 is not the manifest's.")
    served = _parse_served(path / "config.json", config)
    for needed in (served.graph, "tokenizer.json", "config.json"):
        if needed not in files:
            raise BadArtifact(f"{path / MANIFEST} does not list {needed}, which serving needs.")
    family = str(config.get("model_type", "bert")).upper()
    return Artifact(path, family, created, hashlib.sha256(raw).hexdigest(), served)


def load_pointed(models_dir: Path, verify: bool = True) -> Artifact:
    """The artifact that the pointer names, cut to the pointer's `max_seq_len` where that is shorter."""
    return resolve(models_dir, read_pointer(models_dir), verify)


def resolve(models_dir: Path, pointer: Pointer, verify: bool = True) -> Artifact:
    """The artifact that one entry of the pointer names, cut to the entry's `max_seq_len` where that is shorter."""
    artifact = load_artifact(models_dir / pointer.model_dir, verify)
    length = min(artifact.served.max_seq_len, pointer.max_seq_len or artifact.served.max_seq_len)
    return replace(artifact, served=replace(artifact.served, max_seq_len=length))


def _parse_served(file: Path, config: dict[str, Any]) -> Served:
    try:
        found = dict(config["retort"])
        names = config["id2label"]
        labels = tuple(str(names[str(i)]) for i in range(len(names)))
        chain = Chain.from_json(found.pop("chain"), len(labels)) if found.get("chain") is not None else None
        served = Served(labels=labels, chain=chain, **found)
    except (KeyError, TypeError, ValueError) as e:
        raise BadArtifact(f"{file} is damaged: {e!r}; expected `id2label` and a `retort` object.") from e
    if not isinstance(served.task, str) or served.task not in TASKS:
        raise BadArtifact(f"{file}: unknown task {served.task!r}; this version knows {', '.join(TASKS)}.")
    numbers = all(type(n) in (int, float) and math.isfinite(n) for n in (served.temperature, served.threshold))
    longest = config.get("max_position_embeddings")
    longest = longest if type(longest) is int else MAX_SEQ_LEN
    length = type(served.max_seq_len) is int and 3 <= served.max_seq_len <= min(longest, MAX_SEQ_LEN)
    kinds = isinstance(served.graph, str) and isinstance(served.fixed_length, bool)
    known = served.long_text in get_args(LongText) and served.precision in get_args(Precision)
    spelling = type(served.n_characters) is int and 0 <= served.n_characters <= MAX_CHARACTERS
    if not (labels and numbers and length and kinds and known and spelling and served.temperature > 0):
        raise BadArtifact(f"{file}: the `retort` object is damaged: {found}.")
    return served


def _sweep(trained: Path) -> None:
    """Remove what trainers that were killed left behind; a younger draft may still be somebody's."""
    for draft in trained.glob(".draft-*"):
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > DRAFT_LIFETIME_S:
                shutil.rmtree(draft)


def _rename_to_free_name(draft: Path, trained: Path, created: datetime, name: str) -> Path:
    stem = f"{created:%Y%m%d%H%M%S}_{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.') or 'model'}"
    for suffix in ["", *(f"-{n}" for n in range(2, 1000))]:
        final = trained / f"{stem}{suffix}"
        if final.exists():
            continue
        try:
            return draft.rename(final)
        except OSError:
            if not final.exists():  # else another trainer took the name meanwhile
                raise
    raise BadArtifact(f"{trained} holds a thousand models named {stem}.")


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): sha256(p) for p in files}

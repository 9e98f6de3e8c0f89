import io
import os
import stat
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from retort.data import archives
from retort.data.archives import unpack
from retort.errors import BadCheckpoint, DownloadFailed

Files = dict[str, bytes]
WEIGHTS = os.urandom(200_000)
GOOD: Files = {"bert/vocab.txt": b"[PAD]\n", "bert/sub/x.ckpt.index": WEIGHTS, "bert/empty": b""}


def make_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_with(path: Path, kind: bytes, link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("bert/thing")
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return path


def tree(folder: Path) -> Files:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refuse(archive: Path, says: str) -> None:
    """Unpacking fails and leaves nothing, neither inside nor outside the folder."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(BadCheckpoint, match=says):
        unpack(archive, archive.parent / "out")
    assert sorted(archive.parent.rglob("*")) == before


both = pytest.mark.parametrize("make", [make_zip, make_tar])


@both
def test_an_archive_becomes_a_folder_once(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    archive = make(tmp_path / "a", GOOD)
    assert tree(unpack(archive, tmp_path / "new" / "out")) == GOOD
    (tmp_path / "new" / "out" / "bert" / "mine").write_bytes(b"kept")
    archive.unlink()
    assert tree(unpack(archive, tmp_path / "new" / "out")) == GOOD | {"bert/mine": b"kept"}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]


def test_folders_of_archives_are_taken(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", {"bert/": b"", "bert/x": b"1"})
    assert tree(unpack(tmp_path / "a.zip", tmp_path / "zip")) == {"bert/x": b"1"}
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        (tmp_path / "source").mkdir(mode=0o555)
        archive.add(tmp_path / "source", "./")
    assert tree(unpack(tmp_path / "a.tgz", tmp_path / "tar")) == {}
    assert os.access(tmp_path / "tar", os.W_OK)


@both
@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "C:x", "..", "a/.."])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, make: Callable[[Path, Files], Path], name: str) -> None:
    refuse(make(tmp_path / "a", {"fine": b"1", name: b"evil"}), "leads outside")


@both
@pytest.mark.parametrize("name", ["x", "x/y", "."])
def test_members_in_each_others_place_are_refused(
    tmp_path: Path, make: Callable[[Path, Files], Path], name: str
) -> None:
    archive = make(tmp_path / "a", {"x": b"1"})
    if make is make_zip:
        with zipfile.ZipFile(archive, "a") as file, warnings.catch_warnings(action="ignore"):  # of equal names
            file.writestr(name, b"2")
    else:
        archive = tmp_path / "b"
        with tarfile.open(archive, "w:gz") as file:
            for member in ("x", name):
                file.addfile(tarfile.TarInfo(member))
    refuse(archive, "Cannot unpack")


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "inside"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes, link: str) -> None:
    refuse(tar_with(tmp_path / "a.tar.gz", kind, link), "link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("bert/thing")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refuse(tmp_path / "a.zip", "link or a device")


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    raw = bytearray(make_zip(tmp_path / "a.zip", {"x": b"secret"}).read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    refuse(tmp_path / "a.zip", "encrypted")


@both
def test_what_grows_beyond_measure_is_refused(
    tmp_path: Path, make: Callable[[Path, Files], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL_BYTES", 2**16)
    monkeypatch.setattr(archives, "MAX_FILES", 10)
    refuse(make(tmp_path / "a", {"bomb": bytes(2**22)}), "far more than its size promises")
    refuse(make(tmp_path / "a", {f"{i}": b"" for i in range(11)}), "more than 10 files")
    refuse(make(tmp_path / "a", {"n" * 300: b""}), "too long a name")


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SMALL_BYTES", 2**16)
    raw = make_zip(tmp_path / "a.zip", {"bomb": bytes(2**22)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(raw.replace((2**22).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refuse(tmp_path / "a.zip", "Cannot unpack")


@both
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.9999])
def test_archives_cut_short_are_refused(tmp_path: Path, make: Callable[[Path, Files], Path], share: float) -> None:
    archive = make(tmp_path / "a", GOOD)
    raw = archive.read_bytes()
    archive.write_bytes(raw[: int(len(raw) * share)])
    refuse(archive, "Cannot unpack")


@both
def test_damaged_archives_are_refused(tmp_path: Path, make: Callable[[Path, Files], Path]) -> None:
    archive = make(tmp_path / "a", GOOD)
    raw = archive.read_bytes()
    for at in (len(raw) // 3, len(raw) // 2):
        archive.write_bytes(raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :])
        refuse(archive, "Cannot unpack")


def test_names_with_nul_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"name": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"name", b"\0ame"))
    refuse(archive, "Cannot unpack")


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"<html>Not here</html>")
    refuse(tmp_path / "a", "no zip or tar archive")


def test_a_missing_archive_or_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="No such file"):
        unpack(tmp_path / "gone.zip", tmp_path / "out")
    archive = make_zip(tmp_path / "a.zip", GOOD)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((DownloadFailed, BadCheckpoint), match="file"):
        unpack(archive, tmp_path / "file" / "out")


def test_threads_that_unpack_the_same_archive_all_find_it_whole(tmp_path: Path) -> None:
    archive, seen = make_zip(tmp_path / "a.zip", GOOD), []
    threads = [
        threading.Thread(target=lambda: seen.append(tree(unpack(archive, tmp_path / "out")) == GOOD)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [True] * 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from retort.data.download import download
from retort.errors import DownloadFailed

CONTENT = bytes(range(256)) * 4000
START = "import sys; from pathlib import Path; from retort.data.download import download"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def served(server: Any) -> Any:
    server.files["/file.bin"] = CONTENT
    return server


def fetch(server: Any, to: Path, naps: list[float], **options: Any) -> bytes:
    return download(f"{server.url}/file.bin", to, sleep=naps.append, **options).read_bytes()


def cut(n_bytes: int) -> Any:
    return lambda handler: handler.serve(n_bytes)


def answer(status: int, body: bytes = b"", **headers: str) -> Any:
    def misbehave(handler: Any) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return misbehave


def hang_up(handler: Any) -> None:
    handler.close_connection = True


def chunked(body: bytes) -> Any:
    def misbehave(handler: Any) -> None:
        handler.protocol_version = "HTTP/1.1"
        answer(200, body, Content_Length="", Transfer_Encoding="chunked")(handler)

    return misbehave


def left_beside(to: Path) -> list[str]:
    return sorted(p.name for p in to.parent.iterdir() if p != to)


def test_a_file_is_fetched_once_with_progress(served: Any, tmp_path: Path, naps: list[float]) -> None:
    told: list[tuple[int, int | None]] = []
    to = tmp_path / "new" / "folder" / "file.bin"
    assert fetch(served, to, naps, sha256=SHA256, progress=lambda done, total: told.append((done, total))) == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    fetch(served, to, naps, sha256=SHA256)
    assert served.ranges == [None]
    assert left_beside(to) == []
    assert naps == []


def test_a_broken_download_goes_on_where_it_stopped(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.misdeeds += [cut(1000), cut(500), hang_up]
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    assert served.ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=1500-"]
    assert naps == [1, 1, 1]


def test_what_an_earlier_call_left_is_used(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.misdeeds += [cut(1000), *[hang_up] * 4]
    with pytest.raises(DownloadFailed, match="goes on after the 1,000 bytes"):
        fetch(served, tmp_path / "a", naps)
    assert not (tmp_path / "a").exists()
    assert left_beside(tmp_path / "a") == ["a.part", "a.part.version"]
    assert fetch(served, tmp_path / "a", naps) == CONTENT
    assert served.ranges[-1] == "bytes=1000-"
    assert left_beside(tmp_path / "a") == []


def test_many_small_steps_forward_are_no_failures(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.misdeeds += [cut(50_000)] * 20
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT


def test_another_version_on_the_server_is_not_glued_to_the_old_part(served: Any, tmp_path: Path, naps: Any) -> None:
    served.misdeeds += [cut(1000), *[hang_up] * 4]
    with pytest.raises(DownloadFailed):
        fetch(served, tmp_path / "a", naps)
    served.files["/file.bin"] = b"new" * 1000
    assert fetch(served, tmp_path / "a", naps) == b"new" * 1000


def test_a_server_without_ranges_starts_again(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.with_ranges = False
    served.misdeeds += [cut(1000)]
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT


def test_a_server_without_ranges_that_always_stops_ends_in_an_error(served: Any, tmp_path: Path, naps: Any) -> None:
    served.with_ranges = False
    served.misdeeds += [cut(1000)] * 99
    with pytest.raises(DownloadFailed, match="ended after 1,000 of 1,024,000 bytes"):
        fetch(served, tmp_path / "a", naps)
    assert naps == [1, 1, 2, 4]


def test_a_part_that_is_whole_already_is_taken(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT)
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    assert served.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT + b"?")
    assert fetch(served, tmp_path / "a", naps) == CONTENT
    assert served.ranges == [f"bytes={len(CONTENT) + 1}-", None]


def test_a_part_of_something_else_is_found_out_by_the_checksum(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a.part").write_bytes(b"?" * 1000)
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    assert served.ranges == ["bytes=1000-", None]


def test_a_server_that_goes_on_elsewhere_is_not_believed(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    served.misdeeds += [answer(206, CONTENT[500:], Content_Range=f"bytes 500-{len(CONTENT) - 1}/{len(CONTENT)}")]
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    (tmp_path / "b.part").write_bytes(CONTENT[:1000])
    served.misdeeds += [answer(206, CONTENT[1000:])]
    assert fetch(served, tmp_path / "b", naps, sha256=SHA256) == CONTENT


def test_the_length_of_the_whole_counts_however_it_is_told(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT[:-5])
    end = f"bytes {len(CONTENT) - 5}-{len(CONTENT) - 1}"
    served.misdeeds += [answer(206, CONTENT[-5:], Content_Range=f"{end}/*")]
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    (tmp_path / "b.part").write_bytes(CONTENT[:-5])
    served.misdeeds += [answer(206, CONTENT[-5:], Content_Range=f"{end}/{len(CONTENT) - 2}")]
    assert fetch(served, tmp_path / "b", naps, sha256=SHA256) == CONTENT
    assert served.ranges[-1] is None


def test_a_wrong_checksum_is_refused_and_nothing_kept(served: Any, tmp_path: Path, naps: list[float]) -> None:
    with pytest.raises(DownloadFailed, match=f"its SHA-256 is {SHA256}, not 00"):
        fetch(served, tmp_path / "a", naps, sha256="00")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "a.part").exists()
    assert len(served.ranges) == 1


def test_a_file_with_another_checksum_is_replaced(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "a").write_bytes(b"old")
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT


def test_an_empty_file_and_one_of_unknown_length_are_fetched(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.files["/file.bin"] = b""
    assert fetch(served, tmp_path / "a", naps) == b""

    told: list[tuple[int, int | None]] = []
    served.misdeeds += [chunked(b"5\r\nhell"), chunked(b"5\r\nhello\r\n0\r\n\r\n")]
    assert fetch(served, tmp_path / "b", naps, progress=lambda *now: told.append(now)) == b"hello"
    assert told == [(4, None), (5, None)]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_faults_of_the_server_are_tried_again(served: Any, tmp_path: Path, naps: Any, status: int) -> None:
    served.misdeeds += [answer(status)] * 3
    assert fetch(served, tmp_path / "a", naps) == CONTENT
    assert naps == [1, 2, 4]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_lasting_faults_are_told_at_once(served: Any, tmp_path: Path, naps: list[float], status: int) -> None:
    served.misdeeds += [answer(status)]
    with pytest.raises(DownloadFailed, match=f"answered {status}.*Check the address"):
        fetch(served, tmp_path / "a", naps)
    assert naps == []
    assert left_beside(tmp_path / "a") == []


def test_a_web_page_is_not_taken_for_the_file(served: Any, tmp_path: Path, naps: list[float]) -> None:
    served.misdeeds += [answer(200, b"<html>log in", Content_Type="text/html; charset=utf-8")]
    with pytest.raises(DownloadFailed, match="login page"):
        fetch(served, tmp_path / "a", naps)
    assert not (tmp_path / "a").exists()


def test_no_network_is_told_with_what_to_do(tmp_path: Path, naps: list[float], monkeypatch: Any) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadFailed, match=r"Connection refused.*Check the network.*run the same command again"):
            download(url, tmp_path / "a", sleep=naps.append)
    assert naps == [1, 2, 4]


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path, naps: list[float], monkeypatch: Any) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadFailed, match="timed out"):
            download(url, tmp_path / "a", sleep=naps.append, timeout_s=0.05, attempts=2)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "example.org/x", "https://", "http://é/x"]
)
def test_only_web_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadFailed, match="expected an address"):
        download(url, tmp_path / "a")


def test_a_place_that_cannot_be_written_is_told(served: Any, tmp_path: Path, naps: list[float]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadFailed, match="Cannot write"):
        fetch(served, tmp_path / "file" / "a", naps)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DownloadFailed, match="Cannot write"):
        fetch(served, tmp_path / "folder", naps)


def test_a_full_disk_is_told_and_the_part_kept(served: Any, tmp_path: Path) -> None:
    code = (
        f"{START}; import resource, signal;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "download(sys.argv[1], Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, f"{served.url}/file.bin", str(tmp_path / "a")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "DownloadFailed: Cannot write" in found.stderr
    assert download(f"{served.url}/file.bin", tmp_path / "a", SHA256).read_bytes() == CONTENT


def test_a_killed_download_goes_on_where_it_stopped(served: Any, tmp_path: Path, naps: list[float]) -> None:
    reached, released = threading.Event(), threading.Event()

    def stall(handler: Any) -> None:
        handler.serve(300_000)
        handler.wfile.flush()
        reached.set()
        released.wait(60)

    served.misdeeds += [stall]
    say = "progress=lambda done, total: done >= 300_000 and print(done, flush=True)"
    code = f"{START}; download(sys.argv[1], Path(sys.argv[2]), {say})"
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"{served.url}/file.bin", str(tmp_path / "a")], stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    released.set()
    assert fetch(served, tmp_path / "a", naps, sha256=SHA256) == CONTENT
    assert left_beside(tmp_path / "a") == []
    assert served.ranges[1] not in (None, "bytes=0-")


def test_processes_that_want_the_same_file_all_get_it_from_one_request(served: Any, tmp_path: Path) -> None:
    code = f"{START}; download(sys.argv[1], Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, f"{served.url}/file.bin", str(tmp_path / "a")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert len(served.ranges) == 1
    assert left_beside(tmp_path / "a") == []


def test_threads_that_want_the_same_file_all_get_it(served: Any, tmp_path: Path, naps: list[float]) -> None:
    threads = [threading.Thread(target=fetch, args=(served, tmp_path / "a", naps)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert len(served.ranges) == 1

"""`retort serve` as a process: how it starts, answers, is stopped, dies and comes back."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from artifacts import random_weights, tiny_artifact, tiny_config
from collector import Collector
from retort.export.onnx import build_graph, save_graph
from served import COMMAND, Server, receive, serving


def test_it_answers_logs_and_ends_with_0(models_dir: Path) -> None:
    with serving(models_dir) as server:
        assert server.ask("GET", "/readyz")[0] == 200
        status, answer = server.ask("POST", "/predict", {"x": ["how to sort", "java"]})
        assert (status, len(answer["predictions"])) == (200, 2)
        status, envelope = server.ask("GET", "/nope")
        assert (status, envelope["error_type"]) == (404, "NotFound")
        code, lines, err = server.stop()
    assert (code, err) == (0, "")
    assert [line["endpoint"] for line in lines] == ["/readyz", "/predict", "unmatched"]


def test_the_model_lives_in_one_worker_and_not_in_its_parent(models_dir: Path) -> None:
    with serving(models_dir) as server:
        (worker,) = psutil.Process(server.process.pid).children(recursive=True)
        mapped = [{Path(m.path).name for m in p.memory_maps()} for p in (psutil.Process(worker.ppid()), worker)]
        assert [any("openvino" in name for name in names) for names in mapped] == [False, True]


def test_what_is_no_http_gets_the_envelope_and_a_line_too(models_dir: Path) -> None:
    asked = {
        b"GARBAGE\r\n\r\n": 400,
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n": 414,
        b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n": 431,
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n": 400,
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n": 400,
    }
    with serving(models_dir) as server:
        for request, status in asked.items():
            with server.connect() as connection:
                connection.sendall(request)
                head, body = receive(connection).split(b"\r\n\r\n", 1)
            assert head.startswith(b"HTTP/1.1 %d " % status)
            envelope = json.loads(body)
            assert list(envelope) == ["error", "error_type", "request_id"]
            assert envelope["request_id"].encode() in head
        _, lines, _ = server.stop()
    assert [line["status_code"] for line in lines] == list(asked.values())
    assert len({tuple(line) for line in lines}) == 1  # the same keys in the same order


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_gets_its_answer_although_it_was_never_read_whole(
    models_dir: Path, chunked: bool
) -> None:
    pieces = [b"a" * 2**16] * 160  # 10 MiB
    with serving(models_dir) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"Content-Type": "application/json"} | ({} if chunked else {"Content-Length": str(160 * 2**16)})
        connection.request("POST", "/predict", iter(pieces), headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["error_type"]) == (413, "BodyTooLong")
        assert server.ask("POST", "/predict", {"x": "a"})[0] == 200
        connection.close()


def test_clients_that_leave_in_the_middle_harm_nobody(models_dir: Path) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    with serving(models_dir, "--max-requests", "2") as server:
        for sent in (b"", b"POST /pre", head, head + b'{"x": ["', head + b"\xff" * 50_000):
            for _ in range(3):
                with server.connect() as connection:
                    connection.sendall(sent)
        assert server.ask("POST", "/predict", {"x": "a"})[0] == 200
        code, _, err = server.stop()
    assert (code, err) == (0, "")


def test_sigterm_lets_an_open_request_finish(models_dir: Path) -> None:
    body = json.dumps({"x": ["how to sort"] * 500}).encode()
    head = (
        "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with serving(models_dir) as server, server.connect() as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")  # a thread has the request
        server.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):
            while True:  # until the door is closed
                server.connect().close()
        connection.sendall(body)
        answer = receive(connection)
        assert answer.startswith(b"HTTP/1.1 200")
        assert len(json.loads(answer.split(b"\r\n\r\n", 1)[1])["predictions"]) == 500
        assert server.process.wait(60) == 0


def test_sigterm_under_load_loses_no_answer(models_dir: Path) -> None:
    body = json.dumps({"x": ["java"] * 50})
    request = (
        "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )

    def ask_until_closed(server: Server) -> int:
        """How many whole answers came; a connection that nobody took gives none."""
        n_answers = 0
        with contextlib.suppress(ConnectionError):
            while True:
                with server.connect() as connection:
                    connection.sendall(request.encode())
                    answer = receive(connection)
                if answer:
                    assert len(json.loads(answer.split(b"\r\n\r\n", 1)[1])["predictions"]) == 50
                    n_answers += 1
        return n_answers

    with serving(models_dir) as server, ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_until_closed, server) for _ in range(4)]
        assert server.process.stdout is not None
        first = server.process.stdout.readline()
        server.process.send_signal(signal.SIGTERM)
        lines = [first, *server.process.stdout]
        assert all(json.loads(line)["status_code"] == 200 for line in lines)
        assert sum(future.result() for future in asking) == len(lines)
        assert server.process.wait(60) == 0


def test_ctrl_c_ends_it_with_0(models_dir: Path) -> None:
    with serving(models_dir) as server:
        code, _, err = server.stop(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in err


def test_a_killed_worker_comes_back(models_dir: Path) -> None:
    with serving(models_dir) as server:
        (worker,) = psutil.Process(server.process.pid).children()
        worker.kill()
        server.wait_until_ready()
        assert server.ask("POST", "/predict", {"x": "java"})[0] == 200
        assert server.stop()[0] == 0


def test_a_worker_does_not_outlive_its_parent(models_dir: Path) -> None:
    with serving(models_dir) as server:
        (worker,) = psutil.Process(server.process.pid).children()
        server.process.kill()
        _, alive = psutil.wait_procs([worker], timeout=30)
        assert alive == []


def test_a_worker_that_finds_its_model_damaged_ends_the_server(models_dir: Path) -> None:
    with serving(models_dir) as server:
        (file,) = models_dir.glob("trained/*/tokenizer.json")
        file.write_text("{}")
        psutil.Process(server.process.pid).children()[0].kill()
        _, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert "tokenizer.json was changed or damaged" in err
    assert "Traceback" not in err


def test_the_checksums_are_verified_once_for_each_worker(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start hashes the graph once; a worker that replaces another hashes it again (the damage test above)."""
    counting = models_dir / "sitecustomize.py"
    counting.write_text(
        "import hashlib, os\n"
        "digest = hashlib.file_digest\n"
        "def counted(f, name):\n"
        f"    with open({str(models_dir / 'hashed')!r}, 'a') as log:\n"
        "        log.write(os.path.basename(f.name) + '\\n')\n"
        "    return digest(f, name)\n"
        "hashlib.file_digest = counted\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(models_dir))
    with serving(models_dir) as server:
        assert (models_dir / "hashed").read_text().split().count("model.onnx") == 1
        psutil.Process(server.process.pid).children()[0].kill()
        server.wait_until_ready()
        assert (models_dir / "hashed").read_text().split().count("model.onnx") == 2


def test_a_pointer_edited_by_hand_serves_the_other_model_after_a_restart(models_dir: Path) -> None:
    pointer = models_dir / "latest_model_config.json"
    older = pointer.read_text()
    newest = tiny_artifact(models_dir, name="newer", seed=1)
    with serving(models_dir) as server:
        assert server.ask("GET", "/readyz")[1]["model"] == newest.version
    pointer.write_text(older)
    with serving(models_dir) as server:
        assert server.ask("GET", "/readyz")[1]["model"] != newest.version


def test_a_running_server_follows_the_pointer_and_says_once_what_it_refuses(models_dir: Path) -> None:
    pointer = models_dir / "latest_model_config.json"
    older = pointer.read_text()
    with serving(models_dir) as server:
        answered = server.ask("POST", "/predict", {"x": "java"})[1]["model"]
        pointer.write_text('{"model_dir": "trained/gone"}')
        assert server.process.stderr is not None
        line = server.process.stderr.readline()
        assert "trained/gone" in line
        assert f"{answered} still answers" in line
        newest = tiny_artifact(models_dir, name="newer", seed=1)
        assert server.process.stderr.readline() == f"Serving {newest.version} as default\n"
        assert server.ask("POST", "/predict", {"x": "java"})[1]["model"] == newest.version
        pointer.write_text(older)
        assert server.process.stderr.readline() == f"Serving {answered} as default\n"
        code, _, err = server.stop()
    assert (code, err) == (0, "")


def test_a_server_that_stops_while_it_loads_a_model_ends_with_0(models_dir: Path) -> None:
    with serving(models_dir) as server:
        newest = tiny_artifact(models_dir, name="newer", seed=1)
        code, _, err = server.stop()
    assert (code, err) in [(0, ""), (0, f"Serving {newest.version} as default\n")]


def refused(models_dir: Path, port: int = 0) -> str:
    """What a start that fails says: one line on stderr, exit code 1, nothing on stdout."""
    done = subprocess.run([*COMMAND, str(port), "--models-dir", str(models_dir)],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def one(models_dir: Path, name: str) -> Path:
    (file,) = models_dir.glob(f"trained/*/{name}")
    return file


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


POINTER = "latest_model_config.json"
DAMAGES = {  # test_artifact.py has the others
    "no pointer": (lambda m: (m / POINTER).unlink(), POINTER),
    "a pointer to nothing": (lambda m: (m / POINTER).write_text('{"model_dir": "trained/gone"}'), "trained/gone"),
    "half a graph": (lambda m: cut(one(m, "model.onnx")), "model.onnx was changed or damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_ends_the_start_with_one_line_that_names_it(models_dir: Path, damage: str) -> None:
    break_it, named = DAMAGES[damage]
    break_it(models_dir)
    said = refused(models_dir)
    assert said.startswith("retort serve: ")
    assert named in said
    assert said.count("\n") == 1


def test_a_model_that_answers_otherwise_than_it_was_trained_ends_the_start(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        save_graph(build_graph(tiny_config(), random_weights(tiny_config(), seed=5)), folder / "model.onnx")

    tiny_artifact(tmp_path, change=change)
    assert "does not give the logits of" in refused(tmp_path)


def test_a_port_in_use_is_said_at_once(models_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(models_dir, port)
    assert said == (
        f"retort serve: Cannot listen on 127.0.0.1, port {port}: Address already in use. "
        "Choose another --port or --host.\n"
    )


def test_gunicorns_own_variables_change_nothing(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 4 --access-logfile -")
    monkeypatch.setenv("PORT", "1")
    with serving(models_dir) as server:
        assert len(psutil.Process(server.process.pid).children()) == 1
        server.ask("GET", "/health_check")
        _, lines, _ = server.stop()
    assert len(lines) == 1


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_it_listens_on_ipv6(models_dir: Path) -> None:
    with serving(models_dir, "--host", "::1") as server:
        connection = http.client.HTTPConnection("::1", server.port, timeout=60)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()


def test_what_it_says_goes_to_stderr_and_stdout_may_be_closed(models_dir: Path) -> None:
    with serving(models_dir) as server:
        assert server.process.stdout is not None
        server.process.stdout.close()  # whoever read the log is gone
        for _ in range(3):
            assert server.ask("POST", "/predict", {"x": "java"})[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


KEY = "key-of-a-team-1234"


@pytest.mark.parametrize(
    ("options", "n_warnings"),
    [(("--host", "0.0.0.0"), 1), (("--host", "0.0.0.0", "--api-keys", KEY), 0), (("--host", "localhost"), 0)],  # noqa: S104
)
def test_an_address_that_everybody_reaches_without_a_key_is_said(
    models_dir: Path, options: tuple[str, ...], n_warnings: int
) -> None:
    with serving(models_dir, *options) as server:
        assert ["no API keys are set" in line for line in server.said] == [True] * n_warnings


def test_a_server_with_keys_lets_in_who_has_one_and_shows_none(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETORT_API_KEYS", KEY)
    with serving(models_dir) as server:
        assert server.ask("GET", "/readyz")[0] == 200
        assert server.ask("POST", "/predict", {"x": "java"})[0] == 401
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        connection.request("POST", "/predict", json.dumps({"x": "java"}), headers)
        assert connection.getresponse().status == 200
        connection.close()
        _, lines, err = server.stop()
    assert KEY not in json.dumps(lines) + err + "".join(server.said)
    assert [line["key_id"] is None for line in lines] == [True, True, False]


def test_a_file_of_keys_that_cannot_be_read_ends_the_start(models_dir: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "0", "--models-dir", str(models_dir), "--admin-keys-file", str(models_dir / "gone")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(models_dir / "gone") in done.stderr


def test_the_last_spans_are_sent_before_it_ends(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with serving(models_dir) as server:
        server.ask("POST", "/predict", {"x": "java"})
        code, _, err = server.stop()
    collector.close()
    assert (code, err) == (0, "")
    assert {span.name for span in collector.spans} == {"POST /predict", "tokenization", "queue", "inference"}

"""The application as a whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from artifacts import tiny_artifact
from retort.app import create_app
from retort.config import ServeSettings
from retort.errors import BadArtifact


def user_ip(
    models_dir: Path, capsys: pytest.CaptureFixture[str], trusted_proxies: str | None, forwarded: str | None
) -> str:
    settings = ServeSettings(models_dir=models_dir, n_threads=1, trusted_proxies=trusted_proxies)
    client = create_app(settings).test_client()
    capsys.readouterr()
    client.get("/health_check", headers={} if forwarded is None else {"X-Forwarded-For": forwarded})
    return str(json.loads(capsys.readouterr().out)["user_ip"])


@pytest.mark.parametrize(
    ("trusted_proxies", "forwarded", "expected"),
    [
        (None, "6.6.6.6", "127.0.0.1"),
        ("10.0.0.0/8", "6.6.6.6", "127.0.0.1"),  # whoever asks is no proxy of ours
        ("127.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the client wrote the first, our proxy the last
        ("127.0.0.1, 10.0.0.0/8", "6.6.6.6, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", None, "127.0.0.1"),
    ],
)
def test_a_forwarded_address_is_believed_only_of_trusted_proxies(
    served_dir: Path,
    capsys: pytest.CaptureFixture[str],
    trusted_proxies: str | None,
    forwarded: str | None,
    expected: str,
) -> None:
    assert user_ip(served_dir, capsys, trusted_proxies, forwarded) == expected


@pytest.mark.parametrize("trusted_proxies", ["1", "proxy.example", "10.0.0.1/8", "10.0.0.1 10.0.0.2", "::/200"])
def test_proxies_that_are_no_networks_are_refused(trusted_proxies: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        ServeSettings(trusted_proxies=trusted_proxies)


def test_an_app_without_settings_takes_them_from_the_environment(
    served_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETORT_MODELS_DIR", str(served_dir))
    monkeypatch.setenv("RETORT_MAX_TEXTS_PER_REQUEST", "1")
    client = create_app().test_client()
    assert client.post("/predict", json={"x": ["a", "b"]}).status_code == 413


def test_an_app_without_a_model_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match="latest_model_config"):
        create_app(ServeSettings(models_dir=tmp_path))


def test_serving_imports_no_tensorflow_and_nothing_happens_at_import(tmp_path: Path) -> None:
    tiny_artifact(tmp_path)
    program = (
        "import sys, threading, retort.app, retort.serve\n"
        "assert 'onnx' not in sys.modules and threading.active_count() == 1\n"
        "from retort.config import ServeSettings\n"
        f"retort.app.create_app(ServeSettings(models_dir={str(tmp_path)!r}))\n"
        "assert not {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'onnx', 'pyarrow'} & set(sys.modules)\n"
        "assert 'opentelemetry' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

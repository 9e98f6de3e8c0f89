"""What clouds tell a container becomes settings."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from retort import platforms
from retort.cli import main
from retort.config import ServeSettings
from retort.platforms import read_platform

NOWHERE = Path("/nonexistent")


def test_a_machine_of_ones_own_says_nothing() -> None:
    assert read_platform({"HOME": "/root", "PORT": "1"}, NOWHERE) == {}


def test_a_folder_of_sagemaker_is_served_to_all_on_8080(tmp_path: Path) -> None:
    assert read_platform({}, tmp_path) == {"host": "0.0.0.0", "port": "8080", "models_dir": str(tmp_path)}  # noqa: S104


def test_sagemaker_may_choose_the_port(tmp_path: Path) -> None:
    assert read_platform({"SAGEMAKER_BIND_TO_PORT": "7777"}, tmp_path)["port"] == "7777"
    assert read_platform({"SAGEMAKER_BIND_TO_PORT": "7777"}, NOWHERE) == {"host": "0.0.0.0", "port": "7777"}  # noqa: S104


@pytest.mark.parametrize(
    ("uri", "folder"),
    [("/mnt/model", "/mnt/model"), ("file:///mnt/model", "/mnt/model"), ("gs://bucket/model", None), ("", None)],
)
def test_vertex_is_read_and_a_bucket_is_left_alone(uri: str, folder: str | None) -> None:
    variables = {
        "AIP_HTTP_PORT": "8080", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p", "AIP_STORAGE_URI": uri
    }  # fmt: skip
    found = read_platform(variables, NOWHERE)
    expected = {"host": "0.0.0.0", "port": "8080", "health_route": "/h", "predict_route": "/p"}  # noqa: S104
    assert found == expected | ({"models_dir": folder} if folder else {})


def test_whoever_says_otherwise_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIP_HTTP_PORT", "8081")
    monkeypatch.setenv("AIP_STORAGE_URI", str(tmp_path))
    assert (ServeSettings().port, ServeSettings().models_dir) == (8081, tmp_path)
    monkeypatch.setenv("RETORT_PORT", "8082")
    assert ServeSettings().port == 8082
    assert ServeSettings(port=8083, models_dir=Path("m")).port == 8083
    assert ServeSettings(models_dir=Path("m")).models_dir == Path("m")


def test_serve_alone_serves_what_sagemaker_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[ServeSettings] = []
    monkeypatch.setattr(platforms, "SAGEMAKER_MODELS", tmp_path)
    monkeypatch.setattr("retort.serve.serve", lambda settings: served.append(settings) or 0)
    assert CliRunner().invoke(main, ["serve"]).exit_code == 0
    assert (served[0].models_dir, served[0].port) == (tmp_path, 8080)


def test_the_image_leaves_port_and_models_to_clouds() -> None:
    image = (Path(__file__).parents[1] / "api.Dockerfile").read_text(encoding="utf-8")
    assert "RETORT_PORT=" not in image
    assert "RETORT_MODELS_DIR=" not in image
    assert [line for line in image.splitlines() if line.startswith("CMD")] == ['CMD ["serve"]']

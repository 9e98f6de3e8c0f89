"""The Dockerfiles, as hadolint reads them, and the version that images carry."""

from pathlib import Path

import pytest
import yaml
from checks import check
from engines import ROOT

from retort import __version__

pytestmark = pytest.mark.containers


@pytest.mark.parametrize("dockerfile", ["api.Dockerfile", "dev.Dockerfile"])
def test_hadolint_has_nothing_to_say(dockerfile: str) -> None:
    assert check("hadolint", dockerfile) == ""


def test_hadolint_would_say_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN apt-get install gcc\n")
    with pytest.raises(AssertionError, match="DL3006"):
        check("hadolint", str(tmp_path / "Dockerfile"))


def test_the_version_has_one_source() -> None:
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert [image["newTag"] for image in kustomization["images"]] == [__version__]
    runtime = yaml.safe_load((ROOT / "deploy" / "kserve" / "serving-runtime.yaml").read_text())
    assert runtime["spec"]["containers"][0]["image"] == f"retort-api:{__version__}"

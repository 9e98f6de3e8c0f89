"""`make audit`, in both images."""

import json
import subprocess

import pytest
from engines import ROOT, environment

pytestmark = pytest.mark.containers
AUDIT = ROOT / ".retort" / "audit"


def test_both_images_have_a_bill_licences_that_suit_and_no_known_vulnerability(
    engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = environment(CONTAINER_ENGINE=engine)
    done = subprocess.run(["make", "audit"], cwd=ROOT, env=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with capsys.disabled():
        print(f"\n{done.stdout}", end="")  # says so, where nobody could be asked for vulnerabilities
    for kind in ("api", "dev"):
        bill = json.loads((AUDIT / f"{kind}.cdx.json").read_text())
        assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "retort")
        listed = {line.split(" ")[0] for line in (AUDIT / f"{kind}.licences.txt").read_text().splitlines()}
        billed = {component["name"].lower().replace("_", "-") for component in bill["components"]}
        assert billed <= listed

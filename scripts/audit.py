"""python scripts/audit.py: what both images are made of, and what is known to be wrong with it.  `make audit` runs it.

For each image `.retort/audit/` gets a bill of materials (CycloneDX), a list of licences, and the known vulnerabilities.
Ends with 1 where there is a vulnerability, or a licence that obliges those who only use the API.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TO = ROOT / ".retort" / "audit"
VIRAL = re.compile(r"\bA?GPL|GNU (Affero )?General Public|Business Source|BUSL", re.IGNORECASE)
SERVICES = ("osv", "pypi")  # the first that answers


def write_bill(kind: str) -> int:
    """`requirements-KIND.txt` as CycloneDX, checksums and all; returns how many packages it has."""
    bill = TO / f"{kind}.cdx.json"
    run("cyclonedx-py", "requirements", "--pyproject", "pyproject.toml", "--output-reproducible", "-o", str(bill),
        f"requirements-{kind}.txt")  # fmt: skip
    return len(json.loads(bill.read_text())["components"])


def write_licences(kind: str) -> list[str]:
    """The licences of what is installed in the image; returns the lines that do not suit."""
    command = [ROOT / "scripts" / "run", kind, "python", "scripts/licences.py"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (TO / f"{kind}.licences.txt").write_text(listed)
    return [line for line in listed.splitlines() if VIRAL.search(line.split(": ", 1)[1])]


def find_vulnerabilities(kind: str) -> list[str] | None:
    """Package, version and name of each known one; None: nobody could be asked about all packages."""
    for service in SERVICES:
        words = ["pip-audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json",
                 "--timeout", "5", "-s", service, "-r", f"requirements-{kind}.txt"]  # fmt: skip
        asked = subprocess.run([ROOT / "scripts" / "checks", *words], cwd=ROOT, capture_output=True, text=True)
        if not asked.stdout.startswith("{"):
            continue  # nobody answered
        packages = json.loads(asked.stdout)["dependencies"]
        if any("skip_reason" in package for package in packages):
            continue  # a mirror that knows packages, and nothing of their faults
        (TO / f"{kind}.vulnerabilities.json").write_text(asked.stdout)
        return [f"{p['name']} {p['version']}: {fault['id']}" for p in packages for fault in p["vulns"]]
    return None


def run(*command: str) -> None:
    subprocess.run([ROOT / "scripts" / "checks", *command], cwd=ROOT, check=True, capture_output=True)


def main() -> int:
    TO.mkdir(parents=True, exist_ok=True)
    faults = []
    for kind in ("api", "dev"):
        n_packages, viral, vulnerable = write_bill(kind), write_licences(kind), find_vulnerabilities(kind)
        say(f"{kind}: {n_packages} packages in {TO.relative_to(ROOT)}/{kind}.cdx.json, licences in {kind}.licences.txt")
        if vulnerable is None:
            say(f"{kind}: NOT looked up for vulnerabilities: no advisory service answers for all packages from here.")
        else:
            say(f"{kind}: {len(vulnerable)} known vulnerabilities")
        faults += [f"{kind}: {fault}" for fault in [*viral, *(vulnerable or [])]]
    for fault in faults:
        say(fault)
    return 1 if faults else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())

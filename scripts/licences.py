"""python scripts/licences.py: every installed package with its version and licence, one a line, from its own metadata.

Run by the Python of an image (scripts/audit.py does), it is that image's list.
"""

import re
from importlib.metadata import Distribution, distributions


def licence(package: Distribution) -> str:
    """The expression, else the classifiers, else a free text if it is short."""
    about = package.metadata
    classifiers = [one.rsplit(" :: ", 1)[1] for one in about.get_all("Classifier", []) if one.startswith("License :: ")]
    named = [one for one in classifiers if one != "OSI Approved"]
    free = (about.get("License") or "").strip().splitlines()
    return about.get("License-Expression") or " AND ".join(named) or (free[0][:60] if free else "unknown")


def main() -> None:
    found = {re.sub(r"[-_.]+", "-", package.name).lower(): package for package in distributions()}
    for name, package in sorted(found.items()):
        print(f"{name} {package.version}: {licence(package)}")


if __name__ == "__main__":
    main()

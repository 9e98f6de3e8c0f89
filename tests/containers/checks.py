"""Tools that only check, from an environment of their own."""

import subprocess

from engines import ROOT, environment


def check(*command: str) -> str:
    """What a tool of `scripts/checks` prints.  Raises AssertionError with it where the tool objects."""
    words = [ROOT / "scripts" / "checks", *command]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

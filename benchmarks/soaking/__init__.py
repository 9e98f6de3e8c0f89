"""What must hold for longer than a test may take, with real processes.  It is what the tests try quickly."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "server"), str(TESTS / "api")]

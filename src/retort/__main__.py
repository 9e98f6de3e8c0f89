"""`python -m retort` is `retort`."""

from retort.cli import main

main(prog_name="retort")

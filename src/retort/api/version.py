"""A model's version as a number, for protocols that want one: when it was made, such as `20260106220623`."""

from retort.artifact import Artifact
from retort.errors import NoSuchModel


def number(artifact: Artifact) -> str:
    """Digits only."""
    return f"{artifact.created:%Y%m%d%H%M%S}"


def check_number(artifact: Artifact, asked: str | None) -> None:
    """Raises NoSuchModel: another version is asked for than the one that serves."""
    if asked is not None and asked != number(artifact):
        raise NoSuchModel(f"There is no such version of this model here; {number(artifact)} serves.")

"""python scripts/bake.py MODELS TARGET: the models that serve, and no others, become a models folder of their own.

api.Dockerfile runs it, to put them into the image.  A folder with no pointer becomes an empty one.
"""

import shutil
import sys
from pathlib import Path

from retort.artifact import resolve
from retort.errors import BadArtifact, RetortError
from retort.pointer import FILE, look_at_pointer, parse_pointers


def bake(models_dir: Path, target: Path) -> list[str]:
    """Copy the pointer and every folder that it names, readable by any user; returns the versions.

    Raises BadArtifact: something is missing or damaged, or a folder lies outside of `models_dir`, where no server that
    runs in the image would find it.
    """
    if not (models_dir / FILE).exists():
        return []
    found = parse_pointers(models_dir, look_at_pointer(models_dir))
    for fault in found.faults.values():
        raise fault
    versions = []
    for pointer in found.models.values():
        if not (models_dir / pointer.model_dir).resolve().is_relative_to(models_dir.resolve()):
            raise BadArtifact(
                f"{FILE} names {pointer.model_dir}, outside of the models folder, so it cannot be put into an image: "
                "expected a folder such as trained/20260106220623_minilm.  Train again, or build with BAKE=0."
            )
        artifact = resolve(models_dir, pointer)
        if not (target / pointer.model_dir).exists():
            shutil.copytree(artifact.path, target / pointer.model_dir)
        versions.append(artifact.version)
    shutil.copyfile(models_dir / FILE, target / FILE)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return versions


if __name__ == "__main__":
    try:
        versions = bake(Path(sys.argv[1]), Path(sys.argv[2]))
    except RetortError as e:
        sys.exit(f"api.Dockerfile: {e}")
    print("In the image:", ", ".join(versions) or "no model; mount one at /models")

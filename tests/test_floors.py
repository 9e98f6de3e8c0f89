"""Imports go down only, each library stays in its rooms, and serving starts without TensorFlow."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "retort"
MODULES = sorted(SOURCE.rglob("*.py"))

FLOORS = [
    {"errors", "config", "platforms", "durations"},
    {"data", "tokenization", "disk"},
    {"tasks"},
    {"artifact", "pointer", "shelf"},
    {"model", "training", "export", "engine", "api", "web"},
    {"cli", "models_command", "train", "recipes", "trials", "importer", "predict", "scored", "unfinished", "evaluate"}
    | {"choices", "progress", "serve", "server", "app", "__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Who may look into whom on one floor; on the top floor, all but a circle is allowed.
NEIGHBOURS = {
    "config": {"platforms"},
    "artifact": {"pointer"},
    "shelf": {"artifact", "pointer"},
    "training": {"model"},
    "export": {"model", "training", "engine"},  # what is published was run by the session that serves it
    "api": {"engine"},
    "web": {"engine", "api"},
}
ROOMS_OF = {
    "tensorflow": ("model/", "training/", "export/"),
    "keras": ("model/", "training/", "export/"),
    "tf_keras": (),
    "bert": (),
    "openvino": ("engine/session.py", "export/"),
    "onnxruntime": (),
    "flask": ("app.py", "api/", "web/", "server/"),
    "gunicorn": ("serve.py",),
}


def name_of(module: Path) -> str:
    return module.relative_to(SOURCE).as_posix()


def room_of(module: Path) -> str:
    return module.relative_to(SOURCE).with_suffix("").parts[0]


def imported_modules(module: Path) -> Iterator[str]:
    """Dotted names, wherever in the file they are imported; `from retort import x` gives `retort.x`."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(module)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(module: Path) -> set[str]:
    parts = [name.split(".") for name in imported_modules(module)]
    return {part[1] for part in parts if part[0] == "retort" and len(part) > 1 and not part[1].startswith("__v")}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_go_down_only(module: Path) -> None:
    room = room_of(module)
    if room == "__init__":
        assert imported_rooms(module) == set()
        return
    top = len(FLOORS) - 1
    for imported in imported_rooms(module) - {room}:
        same_floor = FLOOR[imported] == FLOOR[room]
        allowed = FLOOR[imported] < FLOOR[room] or (
            same_floor and (FLOOR[room] == top or imported in NEIGHBOURS.get(room, set()))
        )
        assert allowed, f"{name_of(module)} (floor {FLOOR[room]}) imports {imported} (floor {FLOOR[imported]})"


def test_modules_of_the_top_floor_import_each_other_in_no_circle() -> None:
    above = {room_of(m): imported_rooms(m) & FLOORS[-1] for m in MODULES if room_of(m) in FLOORS[-1]}
    while free := {room for room, imported in above.items() if not imported & above.keys() - {room}}:
        above = {room: imported for room, imported in above.items() if room not in free}
    assert above == {}


@pytest.mark.parametrize("library", ROOMS_OF)
def test_a_library_is_imported_only_in_its_rooms(library: str) -> None:
    importers = [name_of(m) for m in MODULES if library in {name.split(".")[0] for name in imported_modules(m)}]
    assert [name for name in importers if not name.startswith(ROOMS_OF[library])] == []


def test_the_api_lock_holds_no_training_library() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements-api.txt").read_text(), re.MULTILINE))
    assert {"flask", "gunicorn", "openvino", "tokenizers"} <= locked
    assert (
        locked
        & {
            "tensorflow",
            "keras",
            "tf-keras",
            "onnxruntime",
            "openvino-telemetry",
            "torch",
            "tensorboard",
            "scikit-learn",
            "matplotlib",
        }
        == set()
    )


@pytest.mark.parametrize("lock", ["requirements-api.txt", "requirements-dev.txt", "requirements-build.txt"])
def test_every_locked_package_has_an_exact_version_and_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[a-zA-Z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [e for e in entries if not re.match(r"[a-z0-9._-]+==[^\s;]+[^\n]* \\\n    --hash=sha256:", e)] == []


def test_both_locks_agree_on_versions() -> None:
    def versions(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))

    api, dev = versions("requirements-api.txt"), versions("requirements-dev.txt")
    assert {name: dev.get(name) for name in api} == api


def test_serving_is_imported_without_tensorflow() -> None:
    code = "import retort.app, retort.serve, sys; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert {"retort", "flask", "openvino"} <= loaded
    assert loaded & {"tensorflow", "keras", "sklearn", "matplotlib", "onnx", "onnxruntime", "pyarrow", "torch"} == set()


def test_the_command_line_answers_without_loading_tensorflow_or_the_runtime() -> None:
    code = "import retort.cli, sys; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & {"tensorflow", "keras", "openvino", "flask", "sklearn", "numpy"} == set()

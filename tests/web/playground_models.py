"""Models of every task for tests of the page, published as training publishes them."""

from pathlib import Path

from hostile_texts import LABELS as HOSTILE_LABELS

from artifacts import LABELS, tiny_artifact
from retort.artifact import Artifact
from retort.pointer import Pointer, write_pointer
from retort.tasks import TASKS

TYPES = ("DATE", "LOC", "MISC", "ORG", "PER", "Product")


def publish_all(models_dir: Path) -> None:
    """Models of every task, with labels of every kind."""
    tags, kinds = "token_classification", TASKS["token_classification"].label_names
    further: dict[str, Artifact] = {
        "topics": tiny_artifact(models_dir, ("bug", "praise", "price"), "topics", task="multi_label_classification"),
        "wide": tiny_artifact(models_dir, [f"label {n}" for n in range(25)], "wide"),
        "entities": tiny_artifact(models_dir, kinds(TYPES), "entities", seed=3, task=tags, long_text="windows"),
        "none": tiny_artifact(models_dir, kinds(("LOC",)), "none", seed=1, task=tags, long_text="windows"),
        "hostile": tiny_artifact(models_dir, HOSTILE_LABELS, "hostile"),
        "hostile-entities": tiny_artifact(
            models_dir, kinds(sorted({label for label in HOSTILE_LABELS if label.strip()})), "hostile-entities",
            task=tags, long_text="windows",
        ),
    }  # fmt: skip
    tiny_artifact(models_dir, LABELS, "tiny", change=document)
    for name, artifact in further.items():
        write_pointer(models_dir, Pointer(f"trained/{artifact.path.name}", name), name)


def document(folder: Path) -> None:
    """A card and a report, which would do harm if anything in them ran."""
    (folder / "README.md").write_text("# A card\n<script>owned()</script>\n", encoding="utf-8")
    (folder / "report.html").write_text(
        "<!doctype html><title>Training report</title><style>h1 { color: rgb(1, 2, 3) }</style><h1>A report</h1>"
        "<script>owned()</script><img src=x onerror=owned()>",
        encoding="utf-8",
    )

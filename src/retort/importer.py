"""A folder that the older, bert-for-tf2 based project trained becomes a published model."""

from pathlib import Path

from retort.artifact import Artifact, Served, publish
from retort.export.folder import write_golden, write_graph, write_model
from retort.model.legacy import read_legacy
from retort.tasks import TASKS, Input

# There is no data to try an imported model on, so it is tried on these and on its labels' names.
PROBES = ("", "Hello!", "How do I undo the last commit?", "Der Zug hält in München.", "価格は 1,234.50 です 🙂")


def import_legacy(old_folder: Path, models_dir: Path) -> Artifact:
    """Publish the model of `old_folder`; it answers in float32, since nothing tells what 8 bits would cost.

    Raises BadCheckpoint: the folder is not one of the older project, or is damaged; CannotWrite.
    """
    old = read_legacy(old_folder)
    task = TASKS["classification"]
    served = Served(task.name, old.max_seq_len, "head", old.labels, fixed_length=True)
    inputs = [Input(text) for text in (*PROBES, *old.labels[:8])]

    def write(folder: Path) -> None:
        encodings = [e for found in served.encode(inputs, old.tokenizer) for e in found]
        write_graph(folder, old.config, old.weights, task, encodings, old.tokenizer.pad_id)
        write_model(folder, old.config, old.weights, old.tokenizer, served)
        write_golden(folder, served, old.tokenizer, inputs)

    return publish(models_dir, old.name, write)

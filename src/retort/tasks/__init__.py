"""What one kind of problem means; numpy only.  `TASKS` is the table that everything else looks tasks up in."""

from retort.tasks.base import Decoding, Input, Prediction, Task
from retort.tasks.classification import Classification, MultiLabelClassification

TASKS: dict[str, Task] = {task.name: task for task in (Classification(), MultiLabelClassification())}

__all__ = ["TASKS", "Decoding", "Input", "Prediction", "Task"]

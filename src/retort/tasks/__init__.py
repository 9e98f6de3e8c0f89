"""What one kind of problem means; numpy only.  `TASKS` is the table that everything else looks tasks up in."""

from retort.tasks.base import Decoding, Entity, EntityPrediction, Input, LabelPrediction, Prediction, Task
from retort.tasks.classification import Classification, MultiLabelClassification
from retort.tasks.token_classification import TokenClassification

TASKS: dict[str, Task] = {
    task.name: task for task in (Classification(), MultiLabelClassification(), TokenClassification())
}

__all__ = ["TASKS", "Decoding", "Entity", "EntityPrediction", "Input", "LabelPrediction", "Prediction", "Task"]

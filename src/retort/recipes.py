"""What nobody chose follows from what is learned, and from what: the settings of the best recipe that we know."""

from collections.abc import Mapping
from typing import Any

from retort.config import TrainSettings

BY_MODEL: Mapping[str, Mapping[str, Any]] = {"bilstm": {"n_epochs": 15, "max_learn_rate": 1e-2, "crf": True}}


def fill_settings(settings: TrainSettings) -> TrainSettings:
    """The settings, where those that were not given are what suits the model."""
    recipe = BY_MODEL.get(settings.model, {})
    return settings.model_copy(update={k: v for k, v in recipe.items() if k not in settings.model_fields_set})

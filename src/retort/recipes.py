"""What nobody chose follows from what is learned, and from what: the settings of the best recipe that we know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retort.config import TrainSettings
from retort.tasks.base import Kind

Recipe = Mapping[str, Any]

BY_FAMILY: Mapping[str, Recipe] = {"bilstm": {"n_epochs": 15, "max_learn_rate": 1e-2, "crf": True}}
# So small an encoder must move further to tell words apart than to tell texts apart (measured on WNUT17).
BY_MODEL: Mapping[tuple[Kind, str], Recipe] = {("entities", "minilm"): {"max_learn_rate": 1e-4}}


def fill_settings(settings: TrainSettings, family: str, answers: Kind) -> TrainSettings:
    """The settings, where those that were not given are what suits the encoder and what it is to answer."""
    recipe = {**BY_FAMILY.get(family, {}), **BY_MODEL.get((answers, Path(settings.model).name), {})}
    return settings.model_copy(update={k: v for k, v in recipe.items() if k not in settings.model_fields_set})

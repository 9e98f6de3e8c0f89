"""What SageMaker and Vertex AI tell a container becomes settings, for where nobody said otherwise.

SageMaker: models in /opt/ml/model, port 8080 or `SAGEMAKER_BIND_TO_PORT`.  Vertex AI: `AIP_HTTP_PORT`,
`AIP_HEALTH_ROUTE`, `AIP_PREDICT_ROUTE`, and `AIP_STORAGE_URI` where it is a folder on this disk.
"""

from collections.abc import Mapping
from pathlib import Path

SAGEMAKER_MODELS = Path("/opt/ml/model")
EVERYWHERE = "0.0.0.0"  # noqa: S104  (both ask from outside the container)


def read_platform(variables: Mapping[str, str], sagemaker_models: Path | None = None) -> dict[str, str]:
    """Settings by name; none on a machine of one's own."""
    return _read_sagemaker(variables, sagemaker_models or SAGEMAKER_MODELS) | _read_vertex(variables)


def _read_sagemaker(variables: Mapping[str, str], models: Path) -> dict[str, str]:
    port = variables.get("SAGEMAKER_BIND_TO_PORT")
    if not (port or models.is_dir()):
        return {}
    return {"host": EVERYWHERE, "port": port or "8080"} | ({"models_dir": str(models)} if models.is_dir() else {})


def _read_vertex(variables: Mapping[str, str]) -> dict[str, str]:
    names = {"port": "AIP_HTTP_PORT", "health_route": "AIP_HEALTH_ROUTE", "predict_route": "AIP_PREDICT_ROUTE"}
    found = {setting: variables[name] for setting, name in names.items() if variables.get(name)}
    storage = variables.get("AIP_STORAGE_URI", "").removeprefix("file://")
    if storage.startswith("/"):
        found["models_dir"] = storage
    return found | ({"host": EVERYWHERE} if "port" in found else {})

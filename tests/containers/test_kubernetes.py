"""deploy/kubernetes and deploy/kserve against the published schemas, and against what Retort really has."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from checks import check
from engines import ROOT

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.metrics import Metrics

pytestmark = pytest.mark.containers

KUBERNETES = ROOT / "deploy" / "kubernetes"
MANIFESTS = sorted(file for file in KUBERNETES.glob("*.yaml") if file.name != "kustomization.yaml")
KSERVE = sorted((ROOT / "deploy" / "kserve").glob("*.yaml"))


def load(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


def test_kubernetes_knows_every_field() -> None:
    checked = check("kubernetes-validate", "--strict", *map(str, MANIFESTS))
    assert checked.count("passed for resource") == len(MANIFESTS) == 7


def test_kubernetes_would_not_know_another_field(tmp_path: Path) -> None:
    wrong = (KUBERNETES / "deployment.yaml").read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")
    (tmp_path / "deployment.yaml").write_text(wrong)
    with pytest.raises(AssertionError, match="readOnlyRootFileSystem"):
        check("kubernetes-validate", "--strict", str(tmp_path / "deployment.yaml"))


def test_every_manifest_is_applied() -> None:
    assert sorted(load("kustomization.yaml")["resources"]) == [file.name for file in MANIFESTS]


def test_the_pod_is_restricted_and_probed_where_retort_answers(models_dir: Path) -> None:
    pod = load("deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    client = create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert client.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert pod["enableServiceLinks"] is False  # or a variable RETORT_PORT=tcp://... comes from the service's name
    graceful_s = ServeSettings.model_fields["graceful_timeout_s"].default
    assert pod["terminationGracePeriodSeconds"] > graceful_s + container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert load("service.yaml")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    labels = load("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        load("service.yaml")["spec"]["selector"],
        load("disruption.yaml")["spec"]["selector"]["matchLabels"],
        load("network.yaml")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == labels


def test_the_autoscaler_follows_a_metric_that_there_is() -> None:
    (metric,) = [m["pods"]["metric"]["name"] for m in load("autoscaler.yaml")["spec"]["metrics"] if m["type"] == "Pods"]
    assert metric in {family.name for family in Metrics().registry.collect()}


def pod(metadata: Any = None, volumes: Any = None, **container: Any) -> dict[str, Any]:
    """A pod with some of it given."""
    spec = {"containers": [{"name": "a", "image": "a"} | container], "volumes": volumes or []}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata or {"name": "a"}, "spec": spec}


# How a pod holds what KServe takes over from Kubernetes.
IN_A_POD: dict[str, Callable[[Any], dict[str, Any]]] = {
    "V1ObjectMeta": lambda value: pod(metadata=value),
    "V1Container": lambda value: pod(**value),
    "V1ResourceRequirements": lambda value: pod(resources=value),
    "V1Volume": lambda value: pod(volumes=[value]),
}


class Schema:
    """What resources of KServe may hold, read from the classes that KServe publishes for them.  What belongs to
    Kubernetes is shown to Kubernetes' own schema, as part of a pod."""

    def __init__(self, tmp_path: Path) -> None:
        self._pod = tmp_path / "pod.json"
        find = "import importlib.util as u; print(u.find_spec('kserve').submodule_search_locations[0])"
        self._models = Path(check("python", "-c", find).strip()) / "models"

    def faults(self, kind: str, value: Any, where: str = "") -> Iterator[str]:
        """What of `value` a `kind` has not, or not of that type."""
        if inner := re.fullmatch(r"list\[(.*)\]", kind):
            if not isinstance(value, list):
                yield f"{where}: expected a list"
                return
            for number, item in enumerate(value):
                yield from self.faults(inner[1], item, f"{where}[{number}]")
        elif kind in ("str", "int", "bool"):
            if type(value).__name__ != kind:
                yield f"{where}: expected {kind}, got {value!r}"
        elif (fields := self._fields(kind)) is None:
            yield from self._faults_by_kubernetes(kind, value, where)
        else:
            for name, item in value.items():
                if name in fields:
                    yield from self.faults(fields[name], item, f"{where}.{name}")
                else:
                    yield f"{where}.{name}: a {kind} has no such field"

    def _fields(self, kind: str) -> dict[str, str] | None:
        """The type of each field by its name in YAML; None: KServe has no such class."""
        file = self._models / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', kind).lower()}.py"
        if not file.exists():
            return None
        (model,) = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
        tables = {
            target.id: ast.literal_eval(node.value)
            for node in model.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in ("openapi_types", "attribute_map")
        }
        return {tables["attribute_map"][name]: str(of) for name, of in tables["openapi_types"].items()}

    def _faults_by_kubernetes(self, kind: str, value: Any, where: str) -> Iterator[str]:
        self._pod.write_text(json.dumps(IN_A_POD[kind](value)))
        try:
            check("kubernetes-validate", "--strict", str(self._pod))
        except AssertionError as e:
            yield f"{where}: {e}"


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    return Schema(tmp_path)


@pytest.mark.parametrize("manifest", KSERVE, ids=lambda file: file.name)
def test_kserve_knows_every_field(schema: Schema, manifest: Path) -> None:
    resource = yaml.safe_load(manifest.read_text())
    version = resource["apiVersion"].split("/")[1].capitalize()
    assert list(schema.faults(version + resource["kind"], resource)) == []


def test_kserve_would_not_know_another_field(schema: Schema) -> None:
    model = {"modelFormat": {"nmae": "retort"}, "storageUri": 1, "resources": {"limtis": {}}}
    wrong = {"metadata": {"nmae": "x"}, "spec": {"predictor": {"model": model, "minReplicas": "1"}}, "knid": "x"}
    assert len(list(schema.faults("V1beta1InferenceService", wrong))) == 6


def test_kserve_asks_where_retort_answers(models_dir: Path) -> None:
    (runtime,) = [yaml.safe_load(file.read_text()) for file in KSERVE if file.name == "serving-runtime.yaml"]
    (container,) = runtime["spec"]["containers"]
    client = create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()
    for probe in ("readinessProbe", "livenessProbe"):
        assert client.get(container[probe]["httpGet"]["path"]).status_code == 200
    options = {option for option in container["args"] if option.startswith("--")}
    assert options <= {f"--{name.replace('_', '-')}" for name in ServeSettings.model_fields}

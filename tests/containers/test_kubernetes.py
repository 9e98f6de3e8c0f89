"""deploy/kubernetes and deploy/kserve against the published schemas, and against what Retort really has."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines import ROOT
from test_dockerfiles import check

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.metrics import Metrics

pytestmark = pytest.mark.containers

KUBERNETES = ROOT / "deploy" / "kubernetes"
MANIFESTS = sorted(file for file in KUBERNETES.glob("*.yaml") if file.name != "kustomization.yaml")
KSERVE = sorted((ROOT / "deploy" / "kserve").glob("*.yaml"))


def load(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda file: file.name)
def test_kubernetes_knows_every_field(manifest: Path) -> None:
    check("kubernetes-validate", "--strict", str(manifest))


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


class Schema:
    """What resources of KServe may hold, read from the classes that KServe publishes for them; its parts that belong to
    Kubernetes from Kubernetes' own schema."""

    def __init__(self) -> None:
        where = "import importlib.util as u; print(u.find_spec('{}').submodule_search_locations[0])"
        self._models = Path(check("python", "-c", where.format("kserve")).strip()) / "models"
        folder = Path(check("python", "-c", where.format("kubernetes_validate")).strip()) / "kubernetes-json-schema"
        newest = max(folder.glob("*-local-strict"), key=lambda found: [int(n) for n in re.findall(r"\d+", found.name)])
        self._definitions = json.loads((newest / "_definitions.json").read_text())["definitions"]

    def faults(self, kind: str, value: Any, where: str = "") -> Iterator[str]:
        """Fields of `value` that a `kind` has not, or not of that type."""
        if inner := re.fullmatch(r"list\[(.*)\]", kind):
            if not isinstance(value, list):
                yield f"{where}: expected a list"
                return
            for number, item in enumerate(value):
                yield from self.faults(inner[1], item, f"{where}[{number}]")
        elif kind.startswith("dict("):
            if not isinstance(value, dict):
                yield f"{where}: expected an object"
        elif kind in ("str", "int", "bool"):
            if type(value).__name__ != kind:
                yield f"{where}: expected {kind}, got {value!r}"
        elif fields := self._fields(kind):
            for name, item in value.items():
                if name not in fields:
                    yield f"{where}.{name}: a {kind} has no such field"
                else:
                    yield from self.faults(fields[name], item, f"{where}.{name}")

    def _fields(self, kind: str) -> dict[str, str]:
        """The type of each field by its name in YAML."""
        file = self._models / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', kind).lower()}.py"
        if not file.exists():
            return self._fields_of_kubernetes(kind)
        (model,) = [n for n in ast.parse(file.read_text()).body if isinstance(n, ast.ClassDef)]
        tables = {
            target.id: ast.literal_eval(node.value)
            for node in model.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in ("openapi_types", "attribute_map")
        }
        return {tables["attribute_map"][name]: str(of) for name, of in tables["openapi_types"].items()}

    def _fields_of_kubernetes(self, kind: str) -> dict[str, str]:
        name = "ObjectMeta" if kind == "V1ObjectMeta" else re.sub(r"^V1", "", kind)
        (found,) = [d for key, d in self._definitions.items() if re.search(rf"\.v1\.{name}$", key)]
        plain = {"string": "str", "integer": "int", "boolean": "bool"}

        def type_of(field: dict[str, Any]) -> str:
            if reference := field.get("$ref"):
                return "V1" + str(reference).rsplit(".", 1)[-1]
            if "array" in field.get("type", []):
                return f"list[{type_of(field['items'])}]"
            kinds = field.get("type", "object")
            return next((plain[one] for one in plain if one in kinds), "dict(str, str)")

        return {name: type_of(field) for name, field in found.get("properties", {}).items()}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema()


@pytest.mark.parametrize("manifest", KSERVE, ids=lambda file: file.name)
def test_kserve_knows_every_field(schema: Schema, manifest: Path) -> None:
    resource = yaml.safe_load(manifest.read_text())
    version = resource["apiVersion"].split("/")[1].capitalize()
    assert list(schema.faults(version + resource["kind"], resource)) == []


def test_kserve_would_not_know_another_field(schema: Schema) -> None:
    spec = {
        "predictor": {"model": {"modelFormat": {"nmae": "retort"}, "storageUri": 1}, "minReplicas": "1"},
    }
    faults = list(schema.faults("V1beta1InferenceService", {"spec": spec, "knid": "x"}))
    assert len(faults) == 4, faults


def test_kserve_asks_where_retort_answers(models_dir: Path) -> None:
    (runtime,) = [yaml.safe_load(file.read_text()) for file in KSERVE if file.name == "serving-runtime.yaml"]
    (container,) = runtime["spec"]["containers"]
    client = create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()
    for probe in ("readinessProbe", "livenessProbe"):
        assert client.get(container[probe]["httpGet"]["path"]).status_code == 200
    options = {option for option in container["args"] if option.startswith("--")}
    assert options <= {f"--{name.replace('_', '-')}" for name in ServeSettings.model_fields}

"""The Helm chart and the manifests made of it: valid for Kubernetes, with no more rights than the containers need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from tests.support.documents import ROOT

CHART: Final = ROOT / "deploy/helm/dartboard"
MANIFESTS: Final = ROOT / "deploy/kubernetes/dartboard.yaml"
# The oldest that the chart names, and the newest.
VERSIONS: Final = ("1.29", "1.34")
OBJECTS: Final[list[dict[str, Any]]] = [each for each in yaml.safe_load_all(MANIFESTS.read_text()) if each]
PODS: Final = {
    each["metadata"]["name"]: each["spec"]["template"]["spec"]
    for each in OBJECTS
    if each["kind"] in ("Deployment", "StatefulSet")
}
CONTAINERS: Final = [
    pytest.param(container, id=f"{name}-{container['name']}")
    for name, pod in PODS.items()
    for container in (*pod.get("initContainers", ()), *pod["containers"])
]
HELM: Final = shutil.which("helm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or ""
needs_helm = pytest.mark.skipif(not HELM, reason="no helm here")


def helm(*arguments: str) -> str:
    ran = subprocess.run([HELM, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def rendered(*settings: str) -> list[dict[str, Any]]:
    text = helm("template", "dartboard", str(CHART), *(f"--set={setting}" for setting in settings))
    return [each for each in yaml.safe_load_all(text) if each]


def pod_of(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [o for o in objects if o["metadata"]["name"] == name and o["kind"] in ("Deployment", "StatefulSet")]
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_valid(each: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(each, version, strict=True)


@needs_helm
def test_the_chart_has_no_faults() -> None:
    helm("lint", "--strict", str(CHART))


@needs_helm
def test_the_manifests_are_those_of_the_chart() -> None:
    assert rendered() == OBJECTS, "helm template dartboard deploy/helm/dartboard > deploy/kubernetes/dartboard.yaml"


@needs_helm
@pytest.mark.parametrize("version", VERSIONS)
def test_every_setting_gives_valid_manifests(version: str) -> None:
    objects = rendered(
        "api.replicas=2",
        "api.artifacts.accessMode=ReadWriteMany",
        "api.artifacts.storageClass=nfs",
        "api.environment.DARTBOARD_LEASE_SECONDS=30",
        "worker.gpus=2",
        "worker.runtimeClass=nvidia",
        "worker.nodeSelector.gpu=h200",
        "worker.tolerations[0].key=gpu",
        "worker.tolerations[0].operator=Exists",
        "postgres.storageClass=ssd",
        "valkey.storageClass=ssd",
        "ingress.host=dartboard.example",
        "ingress.class=nginx",
        "ingress.tlsSecret=certificate",
        "ingress.annotations.example=yes",
    )
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)
    assert {each["kind"] for each in objects} >= {"Ingress", "NetworkPolicy"}
    [worker] = pod_of(objects, "worker")["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert {"name": "DARTBOARD_GPUS", "value": "2"} in worker["env"]
    [api] = pod_of(objects, "api")["containers"]
    assert {"name": "DARTBOARD_LEASE_SECONDS", "value": "30"} in api["env"]


@needs_helm
def test_a_worker_without_a_gpu_asks_for_none() -> None:
    [worker] = pod_of(rendered("worker.gpus=0"), "worker")["containers"]
    assert set(worker["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_has_no_more_rights_than_it_needs(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_a_user_without_an_account_in_the_cluster(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is False


def test_each_pod_sees_its_own_secrets_alone() -> None:
    secrets = {
        name: [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        for name, pod in PODS.items()
    }
    assert secrets == {name: [f"dartboard-{name}"] for name in ("api", "worker", "postgres", "valkey")}


def test_workers_have_no_way_to_the_database() -> None:
    [policy] = [o for o in OBJECTS if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] == "postgres"]
    [rule] = policy["spec"]["ingress"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]] == ["api"]


def test_images_and_versions_are_those_of_the_project() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in ("postgres", "valkey"):
        assert values["images"][name] == compose[name]["image"]
    [version] = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version = ")]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert version == f'version = "{chart["appVersion"]}"'

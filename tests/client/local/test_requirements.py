"""The lists of packages with hashes are those of constraints.txt and pyproject.toml."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.light

ROOT = Path(__file__).parents[3]
EXTRAS = {
    "user": ("api", "worker", "local", "onnx"),
    "dev": ("api", "worker", "local", "onnx", "dev"),
    "api": ("api",),
    "api-telemetry": ("api", "telemetry"),
    "api-optuna": ("api", "optuna"),
    "worker": ("worker",),
}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {normalised(name): version for name, version in found}


def read(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", [*EXTRAS, "build", "installer"])
def test_versions_are_those_of_the_constraints(name: str) -> None:
    constraints = pins((ROOT / "constraints.txt").read_text())
    locked = pins(read(name))
    others = {package: version for package, version in locked.items() if constraints.get(package) != version}
    assert (others, bool(locked)) == ({}, True), "run requirements/lock"


@pytest.mark.parametrize("name", [*EXTRAS, "build", "installer"])
def test_every_package_has_hashes(name: str) -> None:
    entries = [e for e in re.split(r"^(?=[A-Za-z0-9])", read(name), flags=re.MULTILINE) if not e.startswith("#")]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", EXTRAS)
def test_every_requirement_of_the_project_is_in_its_list(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS[name]:
        wanted += project["optional-dependencies"][extra]
    names = {normalised(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in wanted}
    assert names - set(pins(read(name))) == set(), "run requirements/lock"


def image(folder: Path, *arguments: str) -> tuple[str, str]:
    """What an image would install: arguments of pip for torch, and the list with hashes."""
    shutil.copy(ROOT / "deploy" / "image" / "requirements.py", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    subprocess.run([sys.executable, folder / "requirements.py", *arguments], check=True)
    return (folder / "torch.txt").read_text(), (folder / "requirements.txt").read_text()


def test_an_image_takes_torch_alone_from_the_index_for_cpus(tmp_path: Path) -> None:
    torch, others = image(tmp_path, "worker", "cpu", "https://torch.example/cpu")
    version = pins(read("worker"))["torch"]
    assert torch.split()[:3] == ["--index-url", "https://torch.example/cpu", f"torch=={version}+cpu"]
    left = {name for name in pins(read("worker")) if name not in pins(others)}
    assert {"torch", "torchvision", "triton", "nvidia-cublas"} <= left
    assert "nvidia-ml-py" in pins(others)
    assert "index-url" not in others


def test_an_image_with_cuda_has_hashes_for_all(tmp_path: Path) -> None:
    torch, others = image(tmp_path, "worker")
    assert (torch, pins(others)) == ("", pins(read("worker")))


def test_an_image_may_have_several_extras(tmp_path: Path) -> None:
    assert "opentelemetry-sdk" in pins(image(tmp_path, "api,telemetry")[1])

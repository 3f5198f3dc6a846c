"""The SDK where it is installed alone: without torch, beside a project that has packages of the same names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from client.local.stack import LocalStack
from tests.support.documents import ROOT, blocks

PAGE = ROOT / "docs" / "sdk.md"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK, built."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT / "sdk")], check=True)
    [built] = folder.glob("dartboard_sdk-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the SDK, and matplotlib for the plot."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    constraints = str(ROOT / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, str(wheel), "matplotlib"], check=True)
    return python


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own project, with packages of our names."""
    root = tmp_path_factory.mktemp("project")
    for name in ("api", "client", "worker", "darts_core"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text(f"OWN = {name!r}\n")
    return root


def run(python: Path, project: Path, code: str, **environment: str) -> str:
    done = subprocess.run(
        [str(python), "-c", code],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "MPLBACKEND": "Agg", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_lives_beside_a_project_with_packages_of_the_same_names_and_without_torch(
    python: Path, project: Path
) -> None:
    code = """
import sys, json, dartboard, api, client, worker, darts_core
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([[m.OWN for m in (api, client, worker, darts_core)], "torch" in loaded, dartboard.__file__]))
"""
    own, torch, file = json.loads(run(python, project, code))
    assert own == ["api", "client", "worker", "darts_core"]
    assert not torch
    assert Path(file).is_relative_to(python.parents[1])


def test_it_brings_one_package(python: Path, project: Path) -> None:
    code = "from importlib.metadata import files; print({f.parts[0] for f in files('dartboard-sdk')})"
    names = run(python, project, code)
    assert "dartboard" in names
    assert not any(f"'{name}'" in names for name in ("api", "client", "worker", "darts_core", "migrations"))


def test_functions_that_need_torch_name_the_extra_that_has_it(python: Path, project: Path) -> None:
    code = """
import dartboard
try: dartboard.load
except ImportError as error: print(error)
"""
    assert run(python, project, code) == (
        "dartboard.load needs torch: pip install './sdk[torch]' in a copy of Dartboard's repository, "
        "or the SDK's wheel with [torch]\n"
    )


def test_its_command_names_the_missing_parts_of_the_service(python: Path, project: Path) -> None:
    command = python.parent / "dartboard"
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("dartboard 0.")
    refused = subprocess.run([command, "up", "--port", "0"], cwd=project, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "the SDK alone is installed: call ./dartboard in a copy of Dartboard's repository" in refused.stderr


def test_the_pages_ten_lines_search_plot_retrain_download_and_predict(
    python: Path, project: Path, stack: LocalStack, tmp_path: Path
) -> None:
    [notebook] = [block.text for block in blocks(PAGE, "python") if "db.submit" in block.text]
    said = run(python, project, notebook, DARTBOARD_URL=stack.url)
    assert "Genotype(normal=[" in said
    [file] = project.glob("*.pt")
    # What needs torch, where torch is.
    with_torch = tmp_path / "with-torch"
    with_torch.mkdir()
    for name, image in zip(("one", "two"), load_digits().images, strict=False):
        Image.fromarray((image * 15).astype("uint8")).save(with_torch / f"{name}.png")
    [prediction] = [block.text for block in blocks(PAGE, "python") if "predict" in block.text]
    code = f"import dartboard\nfile = {str(file)!r}\n{prediction}"
    told = run(Path(sys.executable), with_torch, code, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'sdk'}")
    assert [line.split()[0] in "0123456789" for line in told.splitlines()] == [True, True]
    [readme] = [block.text for block in blocks(ROOT / "README.md", "python") if "predict" in block.text]
    shutil.copy(file, with_torch / "file.pt")
    (with_torch / "one.png").rename(with_torch / "image.png")
    path = f"{ROOT}{os.pathsep}{ROOT / 'sdk'}"
    assert run(Path(sys.executable), with_torch, f"import dartboard\n{readme}", PYTHONPATH=path) == f"{told[0]}\n"

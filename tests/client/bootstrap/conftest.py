"""./dartboard on a fresh machine: real virtual environments, pip and uv, on a project that needs nothing but uv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installed import call, make_project
from tests.support.processes import CODE


@pytest.fixture(scope="session")
def uv_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of uv that our list names, from the machine's own package index."""
    folder = tmp_path_factory.mktemp("uv")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "-r", CODE / "requirements" / "installer.txt", "-d", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is when calling for the first time."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="session")
def first_call(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: Path, uv_wheel: Path
) -> subprocess.CompletedProcess[str]:
    """The first call in a project of its own."""
    root = make_project(tmp_path_factory.mktemp("installed") / "with a space", uv_wheel)
    return call(root / "dartboard", "jobs", "--json", "a b", cwd=elsewhere)


@pytest.fixture(scope="session")
def installed(first_call: subprocess.CompletedProcess[str]) -> Path:
    """A project after its first call."""
    assert first_call.returncode == 0, first_call.stderr
    return Path(first_call.args[0]).parent


@pytest.fixture
def ready(fresh: Path, installed: Path) -> Path:
    """A project with an environment that has pip and uv and nothing else, which takes seconds to make."""
    shutil.copytree(installed / ".venv", fresh / ".venv", symlinks=True)
    for left in (*(fresh / ".venv").glob("install*"), fresh / ".venv" / "torch", fresh / ".venv" / "without-dev"):
        left.unlink()
    return fresh


@pytest.fixture
def fresh(tmp_path: Path, uv_wheel: Path) -> Path:
    return make_project(tmp_path / "fresh", uv_wheel)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with a shell's helpers, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cat", "readlink", "sh"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    return folder

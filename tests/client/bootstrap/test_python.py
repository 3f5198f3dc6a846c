"""Which Python the first call takes, and its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import call

pytestmark = pytest.mark.slow


def fake_python(folder: Path, name: str, version: str, code: int) -> Path:
    """An interpreter that answers the question for its version, and nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {version}\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_only_old_pythons_are_listed_with_a_hint(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3", "3.9.2", 10)
    fake_python(bare, "python", "2.7.18", 10)
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert "python3 is Python 3.9.2" in refused.stderr
    assert "python is Python 2.7.18" in refused.stderr
    assert "apt install python3" in refused.stderr


def test_machine_without_python_is_told_so(fresh: Path, bare: Path) -> None:
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "no Python at all" in refused.stderr


def test_python_without_venv_is_told_how_to_get_it(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3", "3.12.1", 1)
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "Python 3.12.1 is here, but without its venv module" in refused.stderr
    assert "apt install python3-venv   (or python3.12-venv)" in refused.stderr


def test_newest_python_that_can_do_it_is_chosen(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3.14", "3.14.0", 1)
    fake_python(bare, "python3.10", "3.10.0", 10)
    chosen = bare / "python3.12"
    chosen.write_text('#!/bin/sh\n[ "$1" = -c ] && { echo 3.12.0; exit 0; }\necho "chosen: $*"\n')
    chosen.chmod(0o755)
    ran = call(fresh / "dartboard", "a", "b c", PATH=str(bare), DARTBOARD_PYTHON="")
    assert ran.stdout == f"chosen: -I {fresh}/client/bootstrap.py a b c\n"


def test_wrong_dartboard_python_is_named(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_PYTHON="/no/such/python")
    assert refused.returncode == 1
    assert "DARTBOARD_PYTHON=/no/such/python" in refused.stderr

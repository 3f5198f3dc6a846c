"""The first call installs, the next ones start the command, from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.installed import call, environment, make_project

pytestmark = pytest.mark.slow


def test_first_call_installs_and_then_runs_the_command_where_the_user_is(
    first_call: subprocess.CompletedProcess[str], installed: Path, elsewhere: Path
) -> None:
    assert first_call.stdout == f"['jobs', '--json', 'a b'] {elsewhere} 1\n"
    assert str(installed / ".venv" / "install.log") in first_call.stderr


def test_second_call_installs_nothing_and_says_nothing(installed: Path) -> None:
    before = (installed / ".venv" / "install.log").stat().st_mtime_ns
    second = call(installed / "dartboard", "--help")
    assert (second.returncode, second.stderr) == (0, "")
    assert (installed / ".venv" / "install.log").stat().st_mtime_ns == before


def test_second_call_needs_no_python_of_the_machine(installed: Path, bare: Path) -> None:
    assert call(installed / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="").returncode == 0


def test_command_works_through_symbolic_links(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "absolute").symlink_to(installed / "dartboard")
    (tmp_path / "links" / "relative").symlink_to("../absolute")
    assert call(tmp_path / "links" / "relative", "x", cwd=tmp_path).stdout == f"['x'] {tmp_path} 1\n"


def test_command_is_found_on_the_path(installed: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        ["dartboard", "x"],
        cwd=tmp_path,
        env=environment(PATH=f"{installed}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"['x'] {tmp_path} 1\n"


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_by_the_next_call(installed: Path, file: str) -> None:
    with (installed / file).open("a") as text:
        text.write("# changed\n")
    assert "installing" in call(installed / "dartboard").stderr
    assert call(installed / "dartboard").stderr == ""


def test_moved_folder_is_installed_again_where_it_is_now(installed: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(installed, moved, symlinks=True)
    (moved / "constraints.txt").write_text("")
    assert call(moved / "dartboard", "x", cwd=tmp_path).stdout.startswith("['x']")
    assert str(moved) in (moved / ".venv" / "bin" / "dartboard").read_text()


def test_environment_left_half_installed_is_made_anew(fresh: Path) -> None:
    packages = fresh / ".venv" / "lib" / "python3" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "torch.py").write_text("half a packa")
    (fresh / ".venv" / "unfinished").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert not (packages / "torch.py").exists()


def test_environment_whose_python_is_gone_is_made_anew(fresh: Path) -> None:
    (fresh / ".venv" / "bin").mkdir(parents=True)
    (fresh / ".venv" / "bin" / "python").symlink_to("/no/such/python")
    assert call(fresh / "dartboard").returncode == 0


def test_environment_of_another_tool_without_pip_is_kept_and_completed(fresh: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh / ".venv"], check=True)
    (fresh / ".venv" / "mine").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert (fresh / ".venv" / "mine").exists()


def test_environment_may_be_a_link_to_a_larger_disk(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "larger").mkdir()
    (fresh / ".venv").symlink_to(tmp_path / "larger")
    (tmp_path / "larger" / "unfinished").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert (tmp_path / "larger" / "bin" / "dartboard").exists()


def test_a_script_beside_a_checkout_called_dartboard_imports_the_package(
    installed: Path, tmp_path: Path, uv_wheel: Path
) -> None:
    checkout = make_project(tmp_path / "dartboard", uv_wheel)
    shutil.copytree(installed / ".venv", checkout / ".venv", symlinks=True)
    for name in ("client", "sdk/dartboard"):
        (checkout / name).mkdir(parents=True, exist_ok=True)
        (checkout / name / "__init__.py").write_text("HERE = __file__\n")
    assert call(checkout / "dartboard").returncode == 0
    (tmp_path / "client").mkdir()  # of the user, and no package
    (tmp_path / "script.py").write_text("import client, dartboard\nprint(client.HERE, dartboard.HERE)\n")
    told = call(checkout / ".venv" / "bin" / "python", str(tmp_path / "script.py"), cwd=tmp_path)
    assert told.stdout == f"{checkout}/client/__init__.py {checkout}/sdk/dartboard/__init__.py\n", told.stderr


def test_straight_way_costs_little_beside_the_command_itself(installed: Path) -> None:
    def fastest(*command: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, env=environment(), capture_output=True, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    through, straight = fastest(str(installed / "dartboard")), fastest(str(installed / ".venv" / "bin" / "dartboard"))
    assert through - straight < 0.1

"""Refusals name their cause and a remedy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from client.bootstrap import BootstrapError, check_disk
from tests.support.installed import MISSING, call, has, lock, wheel
from tests.support.processes import CODE

pytestmark = pytest.mark.slow


def test_unreachable_index_is_named_as_no_network_with_log_and_way_on(ready: Path) -> None:
    lock(ready, MISSING)
    failed = call(ready / "dartboard")
    assert failed.returncode == 1
    assert "cannot reach the package index" in failed.stderr
    assert str(ready / ".venv" / "install.log") in failed.stderr
    assert "PIP_INDEX_URL" in failed.stderr
    assert "run the same command again" in failed.stderr


def test_an_index_that_is_unreachable_for_uv_itself_is_named(fresh: Path) -> None:
    shutil.copy(CODE / "requirements" / "installer.txt", fresh / "requirements")
    failed = call(fresh / "dartboard", PIP_RETRIES="1")
    assert failed.returncode == 1
    assert "cannot reach the package index (NewConnectionError)" in failed.stderr


def test_little_disk_is_refused_before_anything_is_installed(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_INSTALL_GB="1000000")
    assert refused.returncode == 1
    assert re.search(r"not enough disk space: \S+/\.venv needs about 1000000 GB .* GB are free", refused.stderr)
    assert "ln -s" in refused.stderr
    assert not (fresh / ".venv" / "bin").exists()


def test_seven_gigabytes_are_asked_for_and_one_when_torch_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6e9))
    with pytest.raises(BootstrapError, match="about 7 GB"):
        check_disk(tmp_path, {})
    torch = tmp_path / "lib" / "python3.11" / "site-packages" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").touch()
    check_disk(tmp_path, {})


def test_a_package_with_another_hash_than_the_lists_is_refused(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    line = wheel(links, "usertool", "1")
    lock(ready, line[:-65] + 64 * "0" + "\n")
    refused = call(ready / "dartboard", PIP_FIND_LINKS=str(links), PIP_NO_INDEX="1")
    assert refused.returncode == 1
    assert "Hash mismatch for `usertool==1`" in refused.stderr
    assert not has(ready, "usertool")


def test_a_build_of_torch_that_there_is_not_is_refused(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_TORCH="rocm")
    assert (refused.returncode, "DARTBOARD_TORCH=rocm: give cpu, cuda or auto" in refused.stderr) == (1, True)

"""The size of the local services' logs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from client.local.log_files import keep_small

pytestmark = pytest.mark.light


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_a_log_over_its_limit_is_rotated_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    with path.open("ab", buffering=0) as writer:
        for part in (b"first", b"second", b"third"):
            writer.write(part * 20)
            keep_small(tmp_path, largest=99, reserve=0)
        writer.write(b"after")
    assert path.read_bytes() == b"after"
    assert (tmp_path / "api.log.1").read_bytes() == b"third" * 20
    assert (tmp_path / "api.log.1").stat().st_mode & 0o777 == 0o600


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text("short")
    keep_small(tmp_path, reserve=0)
    assert sizes(tmp_path) == {"api.log": 5}


def test_a_log_that_cannot_be_rotated_holds_up_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 100)
    (tmp_path / "a.log.1").mkdir()
    (tmp_path / "b.log").write_bytes(b"x" * 100)
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    keep_small(tmp_path, largest=99, reserve=0)
    assert (tmp_path / "b.log").stat().st_size == 0
    assert (tmp_path / "b.log.1").stat().st_size == 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system can only be mounted as root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_logs_give_the_last_space_of_their_disk_back_and_keep_their_ends(small_disk: Path) -> None:
    logs = small_disk / "logs"
    logs.mkdir()
    (logs / "api.log.1").write_bytes(b"x" * 2**20)
    with (logs / "api.log").open("ab", buffering=0) as writer:
        with suppress(OSError):  # when it is full
            for number in count():
                writer.write(b"line %08d\n" % number)
        full = (logs / "api.log").stat().st_size
        keep_small(logs)
        assert shutil.disk_usage(logs).free > 7 * 2**20
        writer.write(b"after\n")
    kept = (logs / "api.log").read_bytes().splitlines()
    assert kept[-1] == b"after"
    assert b"line %08d" % (full // 14 - 1) in kept  # the last one before
    assert sizes(logs).keys() == {"api.log"}

"""Copies of data sets are cleared by age and size, the least recently used first, never one that a job uses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from darts_core.data.catalogue import upload_path
from worker.dataset_copies import clear, copies, in_use

pytestmark = pytest.mark.light

DAY = 86_400.0
NAMES = [f"{letter * 64}" for letter in "abcdef"]


def hold(root: Path, checksum: str, *, size: int, days: float) -> None:
    """A copy of this size, last used so many days ago."""
    path = upload_path(root, checksum)
    with in_use(root, checksum):
        path.write_bytes(b"x" * size)
    used = time.time() - days * DAY
    os.utime(path.with_suffix(".used"), (used, used))


def held(root: Path) -> Sequence[str]:
    return [copy.checksum[0] for copy in copies(root)]


def test_without_limits_all_copies_stay(tmp_path: Path) -> None:
    hold(tmp_path, NAMES[0], size=10, days=1000)
    assert clear(tmp_path, days=None, most_bytes=None) == []
    assert held(tmp_path) == ["a"]


def test_a_copy_that_was_not_used_for_so_many_days_goes(tmp_path: Path) -> None:
    for name, days in zip(NAMES, (1, 8, 6), strict=False):
        hold(tmp_path, name, size=10, days=days)
    assert [copy.checksum[0] for copy in clear(tmp_path, days=7, most_bytes=None)] == ["b"]
    assert held(tmp_path) == ["c", "a"]


def test_above_the_limit_the_least_recently_used_copies_go(tmp_path: Path) -> None:
    for name, days in zip(NAMES, (3, 1, 4, 2), strict=False):
        hold(tmp_path, name, size=10, days=days)
    clear(tmp_path, days=None, most_bytes=25)
    assert held(tmp_path) == ["d", "b"]


def test_a_copy_in_use_stays_and_counts_as_used_when_its_job_ends(tmp_path: Path) -> None:
    hold(tmp_path, NAMES[0], size=10, days=30)
    hold(tmp_path, NAMES[1], size=10, days=20)
    with in_use(tmp_path, NAMES[0]), in_use(tmp_path, NAMES[0]):
        old = time.time() - 30 * DAY
        os.utime(upload_path(tmp_path, NAMES[0]).with_suffix(".used"), (old, old))
        clear(tmp_path, days=7, most_bytes=0)
        assert held(tmp_path) == ["a"]
    assert clear(tmp_path, days=7, most_bytes=None) == []
    clear(tmp_path, days=None, most_bytes=0)
    assert held(tmp_path) == []


def test_a_copy_in_use_by_another_process_stays_until_that_is_killed(tmp_path: Path) -> None:
    hold(tmp_path, NAMES[0], size=10, days=30)
    program = (
        "import sys; from pathlib import Path; from worker.dataset_copies import in_use\n"
        "with in_use(Path(sys.argv[1]), sys.argv[2]): print('held', flush=True); sys.stdin.read()"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), NAMES[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "held\n"
    assert clear(tmp_path, days=None, most_bytes=0) == []
    user.kill()
    user.communicate()
    assert [copy.size for copy in clear(tmp_path, days=None, most_bytes=0)] == [10]


def test_the_part_of_a_broken_download_goes_with_its_copy(tmp_path: Path) -> None:
    hold(tmp_path, NAMES[0], size=10, days=1)
    upload_path(tmp_path, NAMES[0]).with_suffix(".part").write_bytes(b"x" * 5)
    assert [copy.size for copy in clear(tmp_path, days=None, most_bytes=14)] == [15]
    assert held(tmp_path) == []


def test_a_copy_of_an_earlier_version_has_the_age_of_its_file(tmp_path: Path) -> None:
    path = upload_path(tmp_path, NAMES[0])
    path.parent.mkdir()
    path.write_bytes(b"x")
    used = time.time() - 10 * DAY
    os.utime(path, (used, used))
    assert clear(tmp_path, days=11, most_bytes=None) == []
    assert len(clear(tmp_path, days=9, most_bytes=None)) == 1


@pytest.mark.parametrize("seed", range(30))
def test_no_more_goes_than_the_limits_ask_for(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    sizes = {name: random.randint(1, 50) for name in NAMES}
    ages = {name: random.randint(0, 20) + random.random() for name in NAMES}
    for name in NAMES:
        hold(tmp_path, name, size=sizes[name], days=ages[name])
    days, most = random.choice([None, 5, 10]), random.choice([None, 0, 60, 120])
    cleared = {copy.checksum for copy in clear(tmp_path, days=days, most_bytes=most)}
    stay = {name for name in NAMES if name not in cleared}
    assert {copy.checksum for copy in copies(tmp_path)} == stay
    total = sum(sizes[name] for name in stay)
    assert most is None or total <= most
    assert days is None or all(ages[name] <= days for name in stay)
    # The most recently used one that went was too old, or too much beside those used after it.
    if cleared:
        last = min(cleared, key=lambda name: ages[name])
        later = sum(sizes[name] for name in NAMES if ages[name] <= ages[last])
        assert (days is not None and ages[last] > days) or (most is not None and later > most)

from __future__ import annotations

import pytest

from darts_core.runtime.cpu_threads import share_of


@pytest.mark.parametrize(("workers", "cores", "threads"), [(2, 16, "8"), (3, 16, "5"), (8, 4, "1")])
def test_workers_share_the_cores(workers: int, cores: int, threads: str) -> None:
    assert share_of({}, workers, cores) == {"OMP_NUM_THREADS": threads}


def test_a_single_worker_takes_torchs_number_of_threads() -> None:
    assert share_of({}, 1, 16) == {}


def test_a_users_number_of_threads_stays() -> None:
    assert share_of({"OMP_NUM_THREADS": "3"}, 2, 16) == {}

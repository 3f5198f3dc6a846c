"""Metrics of a host's workers, read from the folders of the living and the dead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, values
from pydantic import SecretStr

from api.schemas.jobs import JobKind
from api.schemas.worker import Claimed, DeviceLoad
from darts_core.training.control import Progress
from worker.attempt_dir import AttemptFolder
from worker.control import AttemptControl
from worker.metrics import WorkersCollector
from worker.prometheus import folder_of, keep, metrics
from worker.settings import WorkerSettings

pytestmark = pytest.mark.light
ONE, TWO = {"worker": "host-1"}, {"worker": "host-2"}


@pytest.fixture(autouse=True)
def _in_memory_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    yield
    metrics.cache_clear()


@pytest.fixture
def host(tmp_path: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(WorkersCollector({"host-1": tmp_path / "1", "host-2": tmp_path / "2"}))
    for name in "12":
        (tmp_path / name).mkdir()
    return registry


def work(state: Path, steps: int, *epochs: float, failed: int = 0, waiting: int = 0) -> None:
    """Count as a process does that works on one job."""
    keep(state, "job")
    control = AttemptControl()
    for step in range(steps):
        control.progress(Progress(epoch=1, epochs=1, step=step + 1, steps=steps))
    for seconds in epochs:
        metrics().epoch_seconds.labels("search").observe(seconds)
    metrics().heartbeats_failed.inc(failed)
    metrics().reports_waiting.set(waiting)


def test_counters_go_on_from_one_process_to_the_next(host: CollectorRegistry, tmp_path: Path) -> None:
    work(tmp_path / "1", 3, 0.5, failed=2)
    work(tmp_path / "1", 4, 7.0, 9000.0, failed=1)
    assert host.get_sample_value("dartboard_worker_steps_total", ONE) == 7
    assert host.get_sample_value("dartboard_worker_heartbeats_failed_total", ONE) == 3
    name, kind = "dartboard_worker_epoch_seconds", ONE | {"kind": "search"}
    counts = [host.get_sample_value(f"{name}_bucket", kind | {"le": le}) for le in ("0.1", "0.5", "15.0", "+Inf")]
    assert counts == [0, 1, 2, 3]
    assert host.get_sample_value(f"{name}_sum", kind) == 9007.5
    assert host.get_sample_value("dartboard_worker_steps_total", TWO) is None


def test_failures_of_threads_of_both_processes_are_added(host: CollectorRegistry, tmp_path: Path) -> None:
    for process in ("main", "job"):
        keep(tmp_path / "1", process)
        metrics().thread_failures.labels("reporter").inc()
    assert host.get_sample_value("dartboard_worker_thread_failures_total", ONE | {"thread": "reporter"}) == 2


def test_reports_wait_only_while_there_is_a_job(host: CollectorRegistry, tmp_path: Path) -> None:
    work(tmp_path / "1", 1, waiting=5)  # and then its process was killed
    assert host.get_sample_value("dartboard_worker_reports_waiting", ONE) == 0
    claimed = Claimed(
        job_id=uuid4(),
        attempt_id=uuid4(),
        attempt=1,
        token="t",
        kind=JobKind.SEARCH,
        name=None,
        spec={},
        lease_seconds=10,
        threads=1,
        resume=None,
    )
    AttemptFolder(tmp_path / "1").open(claimed)
    assert host.get_sample_value("dartboard_worker_job_running", ONE) == 1
    assert host.get_sample_value("dartboard_worker_reports_waiting", ONE) == 5
    assert host.get_sample_value("dartboard_worker_job_running", TWO) == 0


def test_a_device_is_shown_for_as_long_as_its_worker_reads_it(host: CollectorRegistry, tmp_path: Path) -> None:
    gpus = [
        DeviceLoad(name=f"gpu {n}", memory_used=3 * 2**30, memory_total=8 * 2**30, utilisation=25.0) for n in range(2)
    ]
    first, second = (ONE | {"device": gpu.name} for gpu in gpus)
    keep(tmp_path / "1", "main")
    metrics().show(gpus, time.time())
    assert host.get_sample_value("dartboard_worker_up", ONE) == 1
    assert host.get_sample_value("dartboard_worker_up", TWO) == 0
    assert host.get_sample_value("dartboard_worker_device_memory_used_bytes", first) == 3 * 2**30
    assert host.get_sample_value("dartboard_worker_device_utilisation_ratio", first) == 0.25
    metrics().show(gpus[1:], time.time())
    assert host.get_sample_value("dartboard_worker_device_memory_used_bytes", first) is None
    assert host.get_sample_value("dartboard_worker_device_memory_used_bytes", second) == 3 * 2**30
    metrics().show(gpus[1:], 0.0)
    assert host.get_sample_value("dartboard_worker_up", ONE) == 0
    assert host.get_sample_value("dartboard_worker_device_utilisation_ratio", second) is None


def test_a_device_of_the_process_before_is_not_shown(host: CollectorRegistry, tmp_path: Path) -> None:
    keep(tmp_path / "1", "main")
    metrics().show([DeviceLoad(name="gpu 0", memory_used=1, memory_total=2, utilisation=None)], time.time())
    keep(tmp_path / "1", "main")
    metrics().show([], time.time())
    assert host.get_sample_value("dartboard_worker_up", ONE) == 1
    assert host.get_sample_value("dartboard_worker_device_memory_used_bytes", ONE | {"device": "gpu 0"}) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xff\0\0\0\0\0\0" + bytes(100)])
def test_a_damaged_file_hides_its_worker_alone_until_that_starts_again(
    host: CollectorRegistry, tmp_path: Path, content: bytes
) -> None:
    work(tmp_path / "1", 3)
    work(tmp_path / "2", 4)
    (folder_of(tmp_path / "1") / "counter_job.db").write_bytes(content)
    assert host.get_sample_value("dartboard_worker_steps_total", ONE) is None
    assert host.get_sample_value("dartboard_worker_steps_total", TWO) == 4
    work(tmp_path / "1", 5)
    assert host.get_sample_value("dartboard_worker_steps_total", ONE) == 5


def test_a_folder_that_cannot_be_written_leaves_the_metrics_in_memory(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("no folder")
    before = values.ValueClass
    work(tmp_path, 3)
    assert values.ValueClass is before


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, None),
        ({"metrics_host": "0.0.0.0"}, ("0.0.0.0", 9101)),
        ({"metrics_port": 9200}, ("127.0.0.1", 9200)),
        ({"metrics_host": "0.0.0.0", "metrics_port": 0}, None),
    ],
)
def test_metrics_are_served_where_host_or_port_are_given(
    given: dict[str, Any], address: tuple[str, int] | None
) -> None:
    assert WorkerSettings(worker_key=SecretStr("k" * 16), **given).metrics_address == address

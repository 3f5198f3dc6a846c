"""Metrics of a host's workers, read from the folders of the living and the dead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from api.schemas.jobs import JobKind
from api.schemas.worker import Claimed, DeviceLoad
from darts_core.training.control import Progress
from worker.attempt_dir import AttemptFolder
from worker.control import AttemptControl
from worker.metrics import OfWorkers
from worker.prometheus import Devices, Figures, FiguresThread
from worker.settings import WorkerSettings

pytestmark = pytest.mark.light


class Counting:
    """In the place of heartbeat and reporter: what they have counted."""

    def __init__(self, failed: int = 0, waiting: int = 0) -> None:
        self.failed, self.waiting = failed, waiting


def work(state: Path, steps: int, *epochs: float, failed: int = 0, waiting: int = 0) -> None:
    """One attempt's worth of figures."""
    control, counted = AttemptControl(), Counting(failed, waiting)
    thread = FiguresThread(state, control, counted, counted)  # type: ignore[arg-type]
    thread.start()
    for step in range(steps):
        control.progress(Progress(epoch=1, epochs=1, step=step + 1, steps=steps))
    for seconds in epochs:
        thread.epoch("search", seconds)
    thread.end()


@pytest.fixture
def shown(tmp_path: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(OfWorkers({"host-1": tmp_path / "1", "host-2": tmp_path / "2"}))
    for name in "12":
        (tmp_path / name).mkdir()
    return registry


def test_figures_go_on_from_one_attempt_to_the_next(shown: CollectorRegistry, tmp_path: Path) -> None:
    work(tmp_path / "1", 3, 0.5, failed=2)
    work(tmp_path / "1", 4, 7.0, 9000.0, failed=1)
    one = {"worker": "host-1"}
    assert shown.get_sample_value("dartboard_worker_steps_total", one) == 7
    assert shown.get_sample_value("dartboard_worker_heartbeats_failed_total", one) == 3
    name, kind = "dartboard_worker_epoch_seconds", one | {"kind": "search"}
    counts = [shown.get_sample_value(f"{name}_bucket", kind | {"le": le}) for le in ("0.1", "0.5", "15.0", "+Inf")]
    assert counts == [0, 1, 2, 3]
    assert shown.get_sample_value(f"{name}_sum", kind) == 9007.5
    assert shown.get_sample_value("dartboard_worker_steps_total", {"worker": "host-2"}) == 0


def test_reports_wait_only_while_there_is_a_job(shown: CollectorRegistry, tmp_path: Path) -> None:
    work(tmp_path / "1", 1, waiting=5)  # and then its process was killed
    assert shown.get_sample_value("dartboard_worker_reports_waiting", {"worker": "host-1"}) == 0
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
    assert shown.get_sample_value("dartboard_worker_job_running", {"worker": "host-1"}) == 1
    assert shown.get_sample_value("dartboard_worker_reports_waiting", {"worker": "host-1"}) == 5
    assert shown.get_sample_value("dartboard_worker_job_running", {"worker": "host-2"}) == 0


def test_a_device_is_shown_for_as_long_as_its_worker_reads_it(shown: CollectorRegistry, tmp_path: Path) -> None:
    load = DeviceLoad(name="gpu 0", memory_used=3 * 2**30, memory_total=8 * 2**30, utilisation=25.0)
    Devices(load=[load]).save(tmp_path / "1")
    device = {"worker": "host-1", "device": "gpu 0"}
    assert shown.get_sample_value("dartboard_worker_up", {"worker": "host-1"}) == 1
    assert shown.get_sample_value("dartboard_worker_up", {"worker": "host-2"}) == 0
    assert shown.get_sample_value("dartboard_worker_device_memory_used_bytes", device) == 3 * 2**30
    assert shown.get_sample_value("dartboard_worker_device_utilisation_ratio", device) == 0.25
    os.utime(tmp_path / "1" / "devices.json", (0, 0))
    assert shown.get_sample_value("dartboard_worker_up", {"worker": "host-1"}) == 0
    assert shown.get_sample_value("dartboard_worker_device_utilisation_ratio", device) is None


def test_a_file_that_a_full_disk_has_cut_short_is_no_figure(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text('{"steps": 1')
    assert Figures.of(tmp_path) == Figures()


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

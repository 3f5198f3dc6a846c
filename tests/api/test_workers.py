"""The roll call of workers."""

from __future__ import annotations

from api.schemas.worker import DeviceLoad, Presence
from client.sdk import Dartboard
from worker.api_client import WorkerApi


def test_a_worker_is_listed_with_its_last_device_report(dartboard: Dartboard, worker_api: WorkerApi, pool: str) -> None:
    presence = Presence(name=pool, pools=[pool], gpus=2, device="H100, H100", version="1")
    loads = [
        DeviceLoad(name="gpu 0", memory_used=7, memory_total=80, utilisation=33.5),
        DeviceLoad(name="gpu 1", memory_used=1, memory_total=80, utilisation=None),
    ]
    worker_api.show(presence)
    worker_api.show(presence.model_copy(update={"load": loads}))
    [worker] = [each for each in dartboard.workers() if each.name == pool]
    assert worker.load == loads


def test_the_copies_of_data_sets_of_a_live_worker_are_listed(
    dartboard: Dartboard, worker_api: WorkerApi, pool: str
) -> None:
    presence = Presence(name=pool, pools=[pool], device="cpu", version="1", dataset_bytes=7, free_bytes=80)
    worker_api.show(presence)
    [worker] = [each for each in dartboard.workers() if each.name == pool]
    assert (worker.dataset_bytes, worker.free_bytes) == (7, 80)
    [found] = [each for each in dartboard.storage().workers if each.name == pool]
    assert (found.dataset_bytes, found.free_bytes) == (7, 80)

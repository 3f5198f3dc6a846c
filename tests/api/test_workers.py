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

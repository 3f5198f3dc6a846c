"""Makes the capsule of a job: from its documents and stored checkpoints at the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from api.schemas.jobs import CheckpointOut, EpochOut, JobOut, Status
from client.capsules.capsule import About, Capsule, KeptCheckpoint, write
from client.errors import CapsuleError
from client.sdk import Dartboard
from darts_core.files.fingerprints import fingerprints
from darts_core.files.torch_files import TorchFile

_TRAININGS: Final = ("search", "evaluation")
# Epochs have a document of their own, and steps are no result.
_NOT_TOLD: Final = ("epoch", "step")


def pack(dartboard: Dartboard, job: JobOut, to: Path, say: Callable[[str], None] = lambda line: None) -> Capsule:
    """Write the capsule of a training that succeeded. say: told of each download. Raises CapsuleError and OSError."""
    check(job)
    with TemporaryDirectory(dir=to.parent, prefix=".capsule-") as name:
        folder = Path(name)
        capsule = collect(dartboard, job, folder, say)
        with (events := folder / "events.jsonl").open("w", encoding="utf-8") as file:
            for event in dartboard.follow(job):
                if event.kind not in _NOT_TOLD:
                    file.write(json.dumps({"id": event.sequence, "event": event.kind, "data": event.data}) + "\n")
        say("downloading the weights")
        weights = dartboard.download_checkpoint(job.id, folder / "weights.safetensors", format_="safetensors")
        write(capsule, events, weights, to)
    return capsule


def check(job: JobOut) -> None:
    """Raise CapsuleError unless the job can have a capsule."""
    if job.kind not in _TRAININGS:
        raise CapsuleError(f"{job.id} is a {job.kind}: a capsule holds a search or an evaluation")
    if "select" in job.spec:
        raise CapsuleError(f"{job.id} selects a cell of another search's supernet, which no capsule holds")
    if job.status != Status.SUCCEEDED:
        raise CapsuleError(f"the {job.kind} {job.id} is {job.status}: a capsule holds a training that succeeded")


def collect(dartboard: Dartboard, job: JobOut, folder: Path, say: Callable[[str], None] = lambda line: None) -> Capsule:
    """What of a training is compared. folder: for one checkpoint at a time."""
    stored = dartboard.checkpoints(job.id)
    kept = []
    for number, checkpoint in enumerate(sorted(stored, key=lambda each: each.epoch), start=1):
        say(f"downloading checkpoint {number} of {len(stored)}, of epoch {checkpoint.epoch}")
        kept.append(_kept(dartboard, checkpoint, folder))
    epochs = dartboard.epochs(job.id)
    return Capsule(about=_about(dartboard, job, epochs), epochs=epochs, checkpoints=kept)


def _kept(dartboard: Dartboard, checkpoint: CheckpointOut, folder: Path) -> KeptCheckpoint:
    path = dartboard.download(checkpoint.id, folder / "checkpoint.pt")
    file = TorchFile(path)
    found = KeptCheckpoint(
        epoch=checkpoint.epoch,
        sha256=checkpoint.sha256,
        size=checkpoint.size,
        environment=file.value["environment"],
        fingerprints=fingerprints(file),
    )
    path.unlink()
    return found


def _about(dartboard: Dartboard, job: JobOut, epochs: list[EpochOut]) -> About:
    versions = {worker.name: worker.version for worker in dartboard.workers()}
    genotype: dict[str, Any] = job.spec.get("genotype") or epochs[-1].genotype or {}
    return About(
        created_at=datetime.now(UTC),
        job=job.id,
        kind=job.kind,
        name=job.name,
        gpus=job.gpus,
        threads=job.threads,
        spec=job.spec,
        seed=job.spec["seed"],
        genotype=genotype,
        best=job.best,
        result=job.result,
        service=dartboard.version(),
        workers={attempt.worker: versions.get(attempt.worker) for attempt in dartboard.attempts(job.id)},
    )

"""Damages stored checkpoints, and repeats uploads of ended attempts."""

from __future__ import annotations

import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import psycopg

from benchmarks.chaos.faults.fault import Fault, Target
from benchmarks.chaos.faults.kills import computing
from darts_core.runtime.process import Process
from worker.api_client import SupersededError, UnreachableError, WorkerApi

_PATIENCE = 15.0  # seconds until the attempt of a killed worker counts as lost, with the database's own faults included
_FIRST_WITHIN = 6.0  # seconds within which a job stores its first checkpoint
_POLL = 0.1

_NEWEST = """
    select c.id, c.key, c.job_id, c.sha256 from checkpoints c join jobs j on j.id = c.job_id
    where j.status = 'running' and c.step is null and c.epoch > 0 and (%(attempt)s::uuid is null or
        (c.job_id, c.attempt) = (select job_id, number from attempts where id = %(attempt)s::uuid))
    order by c.created_at desc limit 1
"""


@dataclass(frozen=True)
class _Stored:
    checkpoint_id: UUID
    key: str
    job_id: UUID
    sha256: str

    @property
    def name(self) -> str:
        """The name used by the worker's upload."""
        return self.key.rpartition("/")[2].removeprefix(f"{self.sha256}-")


class DamagedCheckpoint(Fault):
    """Damages the newest checkpoint of a running job, then kills every worker's child, so that the file is read."""

    name = "damaged_checkpoint"

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when no running job has a checkpoint."""
        stored = _wait_for_newest(target)
        path = target.artifacts / stored.key if stored else None
        if stored is None or path is None or not path.is_file():
            return False
        target.damaged.add(stored.key)
        _damage(path, draw)
        for name, process in target.stack.processes.items():
            if name.startswith("worker-") and process.pid is not None:
                for child in computing(process.pid):
                    child.kill()
        return True


class LateUpload(Fault):
    """Repeats the upload of a stored checkpoint with the token of an attempt that has ended."""

    name = "late_upload"

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when no attempt has stored a checkpoint, or none ended in time."""
        worker = target.worker(draw)
        stored = _wait_for_newest(target, worker)
        trace = _running_attempt(target, worker)
        if trace is None or stored is None or worker.pid is None:
            return False
        attempt_id, token = trace
        with TemporaryDirectory() as folder, WorkerApi(target.stack.url, target.worker_key) as api:
            copy = Path(folder) / stored.name
            try:
                copy.write_bytes((target.artifacts / stored.key).read_bytes())
            except FileNotFoundError:  # a newer checkpoint has replaced it
                return False
            for child in computing(worker.pid):
                child.kill()
            if not _ended(target, attempt_id):
                return False
            try:
                api.attempt(attempt_id, token).upload(copy)
            except SupersededError:
                return True
            except UnreachableError:
                return False
        raise RuntimeError(f"the upload of an attempt that is over was taken: {attempt_id}, {stored.name}")


def _wait_for_newest(target: Target, worker: Process | None = None) -> _Stored | None:
    """The newest checkpoint of a running job, or of the given worker's job; waits some seconds for the first one."""
    deadline = time.monotonic() + _FIRST_WITHIN
    while time.monotonic() < deadline:
        trace = _running_attempt(target, worker) if worker else None
        if worker is None or trace is not None:
            with suppress(psycopg.Error), psycopg.connect(target.database_url, connect_timeout=2) as connection:
                row = connection.execute(_NEWEST, {"attempt": trace and trace[0]}).fetchone()
                if row is not None:
                    return _Stored(*row)
        if target.over.wait(_POLL):
            break
    return None


def _running_attempt(target: Target, worker: Process) -> tuple[str, str] | None:
    """Id and token of a worker's running attempt, read from its attempt directory."""
    try:
        trace = json.loads((target.state_of(worker) / "attempt" / "attempt.json").read_text())
    except (OSError, ValueError):
        return None
    return trace["attempt_id"], trace["token"]


def _ended(target: Target, attempt_id: str) -> bool:
    """Wait for the attempt's end. False after a timeout."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and not target.over.is_set():
        with suppress(psycopg.Error), psycopg.connect(target.database_url, connect_timeout=2) as connection:
            row = connection.execute("select status from attempts where id = %s", [attempt_id]).fetchone()
            if row is None or row[0] != "running":
                return row is not None
        target.over.wait(_POLL)
    return False


def _damage(path: Path, draw: random.Random) -> None:
    """Flip a byte, truncate the file, or remove it."""
    size = path.stat().st_size
    match draw.choice(("flip", "cut", "remove")):
        case "flip":
            with path.open("r+b") as file:
                file.seek(size // 2)
                [byte] = file.read(1)
                file.seek(size // 2)
                file.write(bytes([byte ^ 0xFF]))
        case "cut":
            with path.open("r+b") as file:
                file.truncate(size // 2)
        case _:
            path.unlink()

"""An upload that is repeated, or ends late, never costs a stored file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import httpx

from api.artifacts.local import LocalArtifacts
from api.db.engine import Database, lock_content
from api.jobs.create import discard, new_job
from api.schemas.jobs import JobFrame, JobKind, Status
from api.schemas.worker import Release
from tests.support.service import Bench, Service, SimulatedAttempt


def _files(service: Service, job_id: UUID) -> list[Path]:
    return sorted(p for p in (service.data / "artifacts" / str(job_id)).rglob("*") if p.is_file())


def _put(
    http: httpx.Client, service: Service, training: SimulatedAttempt, name: str, content: bytes | Iterator[bytes]
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": training.claimed.token}
    return http.put(f"/worker/attempts/{training.claimed.attempt_id}/files/{name}", content=content, headers=headers)


def test_a_second_upload_that_ends_after_its_attempt_leaves_the_reported_checkpoint(
    bench: Bench, http: httpx.Client, service: Service
) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report(1, b"one")

    def late() -> Iterator[bytes]:
        yield b"on"
        bench.dartboard.cancel(job.id)
        yield b"e"

    assert _put(http, service, training, "epoch-1.pt", late()).status_code == 409
    bench.dartboard.retry(job.id)
    again = bench.claim()
    assert again.claimed.resume is not None
    again.attempt.download(again.claimed.resume, again.folder / "resumed")
    assert (again.folder / "resumed").read_bytes() == b"one"


def test_another_file_under_a_reported_name_replaces_nothing(
    bench: Bench, http: httpx.Client, service: Service
) -> None:
    job = bench.submit(epochs=2)
    training = bench.claim()
    training.report(1, b"one")
    assert _put(http, service, training, "epoch-1.pt", b"another").status_code == 201
    assert http.get(f"/jobs/{job.id}").json()["status"] == "running"
    training.attempt.release(Release(reason="shutdown"))
    again = bench.claim()
    assert again.claimed.resume is not None
    again.attempt.download(again.claimed.resume, again.folder / "resumed")
    assert (again.folder / "resumed").read_bytes() == b"one"


def test_files_of_a_late_upload_are_removed(bench: Bench, http: httpx.Client, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()

    def late() -> Iterator[bytes]:
        yield b"x"
        bench.dartboard.cancel(job.id)

    before = len(list((service.data / "artifacts" / "incoming").iterdir()))
    assert _put(http, service, training, "epoch-1.pt", late()).status_code == 409
    assert _files(service, job.id) == []
    assert len(list((service.data / "artifacts" / "incoming").iterdir())) == before


def test_the_same_upload_again_heals_a_damaged_file(bench: Bench, http: httpx.Client, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report(1, b"one")
    [path] = _files(service, job.id)
    path.write_bytes(b"xxx")
    assert _put(http, service, training, "epoch-1.pt", b"one").status_code == 201
    assert path.read_bytes() == b"one"


def test_files_of_a_job_that_was_stored_although_no_answer_came_stay(bench: Bench, service: Service) -> None:
    job = bench.submit()
    store = LocalArtifacts(service.data / "artifacts", 1000)
    store.prepare()
    key = store.key(job.id, 0, "given.pt", "0" * 64)

    async def discarded() -> bool:
        await store.put(key, _bytes(), None)
        await discard(Database(service.database_url), store, job.id)
        return await store.size(key) is None

    assert not asyncio.run(discarded())
    bench.dartboard.cancel(job.id)
    bench.dartboard.delete(job.id)
    assert _files(service, job.id) == []


def test_discarding_waits_for_a_commit_that_is_on_its_way(bench: Bench, service: Service) -> None:
    """A connection that breaks in the middle of a commit leaves the server committing."""
    store = LocalArtifacts(service.data / "artifacts", 1000)
    store.prepare()
    job = new_job(JobKind.SCORE, JobFrame(), {})
    key = store.key(job.id, 0, "given.pt", "0" * 64)

    async def still_there() -> bool:
        database = Database(service.database_url)
        await store.put(key, _bytes(), None)
        async with database.transaction() as session:
            await lock_content(session, str(job.id))
            job.status = Status.CANCELLED
            session.add(job)
            await session.flush()
            discarding = asyncio.create_task(discard(database, store, job.id))
            done, _ = await asyncio.wait([discarding], timeout=0.3)
            assert not done
        await discarding
        return await store.size(key) is not None

    assert asyncio.run(still_there())
    bench.dartboard.delete(job.id)
    assert _files(service, job.id) == []


async def _bytes() -> AsyncIterator[bytes]:
    yield b"given"

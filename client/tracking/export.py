"""Exports jobs to a tracker: what is stored, or, following their events, each epoch as it ends."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from uuid import UUID

from api.schemas.jobs import JobOut, Status
from client.events import ChildEvent, EpochEvent
from client.sdk import Dartboard, Id
from client.tracking.tracker import Tracker


def export(dartboard: Dartboard, ids: Sequence[Id], tracker: Tracker, *, follow: bool = False) -> list[JobOut]:
    """Export jobs, and the children of studies and committees; returns all of them in their present state.

    follow: go on until all have ended, with an epoch as soon as it is stored. All ids are looked up before the first
    job is written.
    """
    jobs = [dartboard.job(job_id) for job_id in ids]
    return _follow(dartboard, jobs, tracker) if follow else _export(dartboard, jobs, tracker)


def _export(dartboard: Dartboard, jobs: list[JobOut], tracker: Tracker) -> list[JobOut]:
    waiting, done = jobs[::-1], dict[UUID, JobOut]()
    while waiting:
        job = waiting.pop()
        if job.id in done:
            continue
        run = tracker.open(job)
        run.add(dartboard.epochs(job.id))
        run.end(job)
        done[job.id] = job
        if job.is_composite:  # its children are listed without their results
            waiting += [dartboard.job(child.id) for child in reversed(dartboard.children(job.id))]
    return list(done.values())


def _follow(dartboard: Dartboard, jobs: list[JobOut], tracker: Tracker) -> list[JobOut]:
    """Each job in a thread, a child from its claim on. A thread's exception ends all."""
    news: SimpleQueue[UUID | JobOut | Exception] = SimpleQueue()

    begun, done = set[UUID](), dict[UUID, JobOut]()

    def begin(job_id: UUID) -> None:
        if job_id not in begun:
            begun.add(job_id)
            Thread(target=work, args=(job_id,), daemon=True).start()

    def work(job_id: UUID) -> None:
        try:
            news.put(_follow_one(dartboard, job_id, tracker, news))
        except Exception as error:
            news.put(error)

    for job in jobs:
        begin(job.id)
    while len(done) < len(begun):  # a job's end comes after the news of its children
        match news.get():
            case UUID() as child:
                begin(child)
            case JobOut() as ended:
                done[ended.id] = ended
            case error:
                raise error
    return list(done.values())


def _follow_one(
    dartboard: Dartboard, job_id: UUID, tracker: Tracker, children: SimpleQueue[UUID | JobOut | Exception]
) -> JobOut:
    job, last = dartboard.job(job_id), 0
    run = tracker.open(job)
    for event in dartboard.follow(job):
        if isinstance(event, ChildEvent) and event.status != Status.QUEUED:
            children.put(event.id)
        elif isinstance(event, EpochEvent) and event.epoch > last:
            stored = dartboard.epochs(job_id, last)
            run.add(stored)
            last = stored[-1].epoch
    run.add(dartboard.epochs(job_id, last))
    job = dartboard.job(job_id)
    run.end(job)
    return job

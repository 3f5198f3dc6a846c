"""Advances a composite job when one of its children changes status, as its protocol prescribes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from api.artifacts import Artifacts
from api.background_tasks import Passed
from api.composite.children import load_children
from api.composite.control import cancel_children, promote_children
from api.composite.steps import Children, NewChild, Step
from api.datasets.references import hold
from api.db.engine import Database, lock_content
from api.db.models import Event, Job
from api.events.hub import EventHub
from api.events.log import append
from api.events.subscription import EndedError, JobChanged, News, Subscription
from api.http.problems import ProblemError, is_unreachable
from api.jobs.create import announce_queued, discard, given_file, new_job
from api.jobs.locking import lock_job
from api.jobs.state_machine import move
from api.jobs.waker import Waker
from api.kinds import KINDS, References, kind_of
from api.schemas.jobs import JobFrame, JobKind, Status
from darts_core.errors import ConfigError

_log = structlog.get_logger(__name__)
_DRIVEN = (Status.RUNNING, Status.PAUSING)
# Events announce nearly every change; a full pass, which reads each composite job, only repairs.
_SWEEPS_APART: Final = 5


class TreeDriver:
    """Advances composite jobs. Runs in every API process.

    Each step is one transaction under the composite job's lock, so concurrent or restarted drivers do every step once.
    """

    def __init__(
        self,
        database: Database,
        hub: EventHub,
        waker: Waker,
        artifacts: Artifacts,
        references: References,
        sweep_seconds: float,
    ) -> None:
        self._database, self._hub, self._waker = database, hub, waker
        self._artifacts, self._references = artifacts, references
        self._pause = _SWEEPS_APART * sweep_seconds
        self._known: set[UUID] = set()
        self._listening: Subscription | None = None

    def nudge(self, tree_id: UUID) -> None:
        """Advance a composite job now: it was created or requeued here."""
        self._known.add(tree_id)
        if self._listening is not None:
            self._listening.push(JobChanged(tree_id))

    async def run(self, passed: Passed) -> None:
        """Advance composite jobs until cancelled."""
        while True:
            with suppress(EndedError):  # the next pass reads all of them again
                await self._drive(passed)

    async def _drive(self, passed: Passed) -> None:
        """Advance all composite jobs, then those with changes; repeat the full pass regularly to recover from
        failures.
        """
        async with self._hub.subscribe(all_jobs=True) as listening:
            self._listening = listening
            try:
                while True:
                    self._known = set(await self._active())
                    await self._advance(self._known)
                    passed()
                    over = asyncio.get_running_loop().time() + self._pause
                    while (left := over - asyncio.get_running_loop().time()) > 0:
                        changed = {news.job_id for news in await _take(listening, left) if isinstance(news, JobChanged)}
                        if None in changed:
                            break
                        await self._advance({tree for tree in self._known if tree in changed})
            finally:
                self._listening = None

    async def _active(self) -> list[UUID]:
        query = select(Job.id).where(Job.kind.in_(_composite()), Job.status.in_(_DRIVEN)).order_by(Job.id)
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def _advance(self, trees: set[UUID]) -> None:
        for tree_id in sorted(trees):
            try:
                await self._step_or_give_up(tree_id)
            except Exception as error:  # one composite job's failure must not affect the others
                if is_unreachable(error):
                    raise
                _log.error("tree_not_driven", tree=str(tree_id), exc_info=error)

    async def _step_or_give_up(self, tree_id: UUID) -> None:
        try:
            await self.step(tree_id)
        except (ProblemError, ConfigError) as error:
            # The child can never be created, for example because its data set is deleted.
            await self._give_up(tree_id, str(error))

    async def step(self, tree_id: UUID) -> None:
        """Take one step of one composite job."""
        async with self._database.transaction() as session:
            tree = await lock_job(session, tree_id)
            if tree is None or tree.status not in _DRIVEN:
                self._known.discard(tree_id)
                return
            children = await load_children(session, tree)
            await _append_changes(session, tree, children)
            if tree.status == Status.PAUSING:
                if not any(c.status in (Status.QUEUED, *_DRIVEN) for c in children.values()):
                    await move(session, tree, Status.PAUSED, tree.status_reason)
                return
            protocol = kind_of(tree).protocol
            assert protocol is not None
            if protocol.grow is not None:
                grown = await protocol.grow(tree.spec, children, self._references.datasets, tree.gpus)
                tree.spec = grown or tree.spec
            step = protocol.next_step(tree.spec, children)
            for new in step.create:
                if not new.is_request:
                    await _create(session, tree, new)
            _progress(tree, children, protocol.planned(tree.spec))
            if step.promote:
                await promote_children(session, tree, step.promote)
            if step.cancel:
                await cancel_children(session, tree, step.cancel)
            await _end(session, tree, step)
        for new in step.create:
            if new.is_request:
                await self._create_requested(tree_id, new)
        if step.create or step.promote:
            self._waker.nudge()

    async def _create_requested(self, tree_id: UUID, new: NewChild) -> None:
        """Queue a child from a request, which is resolved before the lock, unless the child exists."""
        kind = KINDS[new.kind]
        resolved = await kind.resolve(kind.bodies.validate_python(new.spec), self._references)
        spec = resolved.spec.model_dump(mode="json")
        job: Job | None = None
        try:
            async with self._database.transaction() as session:
                tree = await lock_job(session, tree_id)
                if tree is None or tree.status != Status.RUNNING or new.stage in await load_children(session, tree):
                    return
                job = await _create(session, tree, replace(new, spec=spec))
                await lock_content(session, str(job.id))
                for name, file in resolved.files.items():
                    session.add(await given_file(self._artifacts, job, name, file))
        except BaseException:
            if job is not None:
                await discard(self._database, self._artifacts, job.id)
            raise

    async def _give_up(self, tree_id: UUID, why: str) -> None:
        async with self._database.transaction() as session:
            tree = await lock_job(session, tree_id)
            if tree is None or tree.status not in _DRIVEN:
                return
            await cancel_children(session, tree)
            await _end(session, tree, Step(failure=why))


def _composite() -> list[str]:
    return [name for name, kind in KINDS.items() if kind.protocol is not None]


async def _take(listening: Subscription, seconds: float) -> list[News]:
    try:
        async with asyncio.timeout(seconds):
            return await listening.take()
    except TimeoutError:
        return []


async def _create(session: AsyncSession, tree: Job, new: NewChild) -> Job:
    """Queue a child. Its stage is unique within the composite job, so it cannot be created twice."""
    frame = JobFrame(**{field: getattr(tree, field) for field in JobFrame.model_fields})
    job = new_job(new.kind, frame, new.spec, new.source)
    job.name = f"{tree.name or tree.kind} {new.stage}"[:200]
    job.owner, job.parent_id, job.stage, job.pause_after = tree.owner, tree.id, new.stage, new.pause_after
    await hold(session, job.spec)
    session.add(job)
    await session.flush()
    await announce_queued(session, job)
    await append(session, tree, "child", _event(new.stage, job.id, new.kind, Status.QUEUED, None))
    return job


async def _append_changes(session: AsyncSession, tree: Job, children: Children) -> None:
    """Append an event for each child whose status differs from its last event."""
    stage = Event.data["stage"].astext
    events = select(Event.data).where(Event.job_id == tree.id, Event.kind == "child")
    latest = events.ext(distinct_on(stage)).order_by(stage, Event.sequence.desc())
    last = {data["stage"]: data["status"] for data in await session.scalars(latest)}
    for child in children.values():
        if last.get(child.stage) != child.status:
            data = _event(child.stage, child.id, child.kind, child.status, child.status_reason)
            await append(session, tree, "child", data)


def _event(stage: str, child_id: UUID, kind: JobKind, status: Status, reason: str | None) -> dict[str, str | None]:
    return {"stage": stage, "id": str(child_id), "kind": kind, "status": status, "reason": reason}


def _progress(tree: Job, children: Children, planned: int) -> None:
    """Store the number of ended children, of all planned ones."""
    ended = sum(child.status.ended for child in children.values())
    progress = {"epoch": ended, "epochs": planned, "step": 0, "steps": 0, "eta_seconds": None}
    if tree.progress != progress:
        tree.progress = progress


async def _end(session: AsyncSession, tree: Job, step: Step) -> None:
    if step.failure is not None:
        tree.error = {"type": f"{tree.kind.title()}Failed", "message": step.failure, "traceback": "", "log_tail": []}
        await move(session, tree, Status.FAILED, step.failure[:500])
    elif step.result is not None:
        tree.result, tree.metrics = step.result, dict(step.metrics)
        await move(session, tree, Status.SUCCEEDED)

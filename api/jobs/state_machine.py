"""Defines the state machine of jobs: the table of transitions and the function that makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Job
from api.events.log import append, notify
from api.http.problems import conflict
from api.kinds import kind_of
from api.schemas.jobs import HELD_FOR_TIME, LONGEST_REASON, Status, shortened
from api.schemas.webhooks import EventType
from api.webhooks.outbox import tell

S = Status

_ENDS: Final[dict[Status, EventType]] = {
    S.SUCCEEDED: "job.succeeded",
    S.FAILED: "job.failed",
    S.CANCELLED: "job.cancelled",
}
TRANSITIONS: dict[Status, frozenset[Status]] = {
    S.QUEUED: frozenset({S.RUNNING, S.PAUSED, S.CANCELLED}),
    # Back to queued after a lost or released attempt, or for an urgent job; straight to paused if a disk is full.
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.PAUSING, S.PAUSED, S.QUEUED}),
    S.PAUSING: frozenset({S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLED}),
    S.SUCCEEDED: frozenset({S.QUEUED}),  # given more epochs
    S.FAILED: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
}


def may(job: Job, to: Status) -> bool:
    """Whether the table allows the transition."""
    return to in TRANSITIONS[job.status]


async def move(session: AsyncSession, job: Job, to: Status, reason: str | None = None) -> None:
    """Move the job to another status and append the event. The caller holds the row's lock.

    Raises ProblemError 409 if the table does not allow the transition.
    """
    if not may(job, to):
        steps = ", ".join(sorted(TRANSITIONS[job.status])) or "nothing: it is final"
        raise conflict(f"the job is {job.status} and cannot become {to}; possible from here: {steps}")
    reason = None if reason is None else shortened(reason, LONGEST_REASON)
    job.status, job.status_reason = to, reason
    if to is S.RUNNING and job.started_at is None:
        job.started_at = func.now()
    # The clock may have been set back since the job started.
    job.finished_at = func.greatest(func.now(), Job.started_at) if to.ended else None
    if to is not S.RUNNING and to is not S.PAUSING:
        job.worker = job.preempted_by = None
    if to is not S.RUNNING and to is not S.QUEUED:
        job.hold = None
    if to is S.QUEUED and (job.not_before or job.window):
        job.hold = job.hold or HELD_FOR_TIME  # until api/jobs/times.py finds it open
    await append(session, job, "status", {"status": to, "reason": reason, "attempt": job.attempt})
    if to.ended:
        await tell(session, job, _ENDS[to], reason)
    if job.parent_id is not None:
        await notify(session, job.parent_id)  # api/composite/driver.py then advances the parent


# The statuses that allow a user's action.
_ACTIONS: Final[dict[str, frozenset[Status]]] = {
    "cancel": frozenset({S.QUEUED, S.RUNNING, S.PAUSING, S.PAUSED}),
    "pause": frozenset({S.QUEUED, S.RUNNING}),
    "resume": frozenset({S.PAUSED}),
    "retry": frozenset({S.FAILED, S.CANCELLED}),
    "extend": frozenset({S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    "delete": frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED}),
}


def actions_of(job: Job) -> list[str]:
    """The actions that the job's kind and status allow."""
    return [name for name in kind_of(job).actions if job.status in _ACTIONS[name]]


def check_action(job: Job, action: str) -> None:
    """Raise ProblemError 409, which names the possible actions, if this one is not."""
    possible = actions_of(job)
    if action in possible:
        return
    if action not in kind_of(job).actions:
        raise conflict(f"cannot {action} a {job.kind}: it has other actions, {', '.join(kind_of(job).actions)}")
    advice = "it is final"
    if others := [name for name in possible if name != "delete"]:
        onward = next((name for name in others if name in ("resume", "retry")), None)
        advice = f"{onward} lets it go on" if onward else f"possible: {' or '.join(others)}"
    raise conflict(f"cannot {action} a job that is {job.status}: {advice}")

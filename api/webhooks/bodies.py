"""Writes the bodies of messages. A message has one body, however often it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from api.db.models import Job
from api.kinds import kind_of
from api.webhooks.mail import email_body

_SLACK_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def body_of(form: str, type_: str, job: Job | None, reason: str | None, about: Mapping[str, Any] | None = None) -> str:
    """The body of one event. form: a BodyForm. job: None for a ping and for what concerns no single job, which `about`
    describes.
    """
    if form == "slack":
        return json.dumps({"text": _sentence(type_, job, reason).translate(_SLACK_ESCAPES)})
    if form == "email":
        return email_body(_sentence(type_, job, reason), [] if job is None else _lines(job))
    data = {} if job is None else {"job": _brief(job), "reason": reason}
    if about is not None:
        data = {**about, "reason": reason}
    return json.dumps({"type": type_, "timestamp": datetime.now(UTC).isoformat(), "data": data})


def _brief(job: Job) -> dict[str, Any]:
    names = ("kind", "name", "owner", "project", "labels", "status", "attempt", "worker", "best", "metrics")
    error = job.error and {name: job.error.get(name) for name in ("type", "message")}
    return {"id": str(job.id), **{name: getattr(job, name) for name in names}, "error": error}


def _lines(job: Job) -> list[str]:
    brief = {"id": str(job.id), **{name: getattr(job, name) for name in ("status", "owner", "project", "worker")}}
    lines = [f"{name}: {value}" for name, value in brief.items() if value is not None]
    return [*lines, f"error: {job.error.get('message')}"] if job.error else lines


def _sentence(type_: str, job: Job | None, reason: str | None) -> str:
    if job is None:
        return reason or "Dartboard can reach this webhook."
    what = type_.removeprefix("job.").replace("_", " ")
    best = ""
    objective = kind_of(job).objective(job.spec)
    if job.best and objective is not None and objective.metric in job.best:
        best = f", best {objective.metric.replace('_', ' ')} {job.best[objective.metric]:.4g}"
    why = f": {reason}" if reason else ""
    return f"{job.kind} {job.name or job.id} {what}{best}{why}"

"""Serialises a stored event once for all its subscribers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from api.schemas.jobs import Status
from darts_core.genotypes.derive import strengths_of


@dataclass(frozen=True, eq=False)
class StoredEvent:
    """An entry of a job's event log, shared by all its subscribers."""

    job_id: UUID
    sequence: int
    kind: str
    data: dict[str, Any]

    @classmethod
    def of(cls, job_id: UUID, sequence: int, kind: str, data: dict[str, Any]) -> StoredEvent:
        """An event as stored. An epoch that was reported without operation strengths gets them."""
        if kind == "epoch":
            data = {**data, "strengths": strengths_of(data.get("alphas"), data.get("strengths"))}
        return cls(job_id, sequence, kind, data)

    @property
    def status(self) -> Status | None:
        """The status that the event set; None for other kinds of events."""
        return Status(self.data["status"]) if self.kind == "status" else None

    @cached_property
    def frame(self) -> bytes:
        """The server-sent event in the stream of its own job."""
        return framed(self.kind, _json(self.data), str(self.sequence))

    @cached_property
    def named(self) -> bytes:
        """The event's data in a stream of several jobs."""
        return named(self.job_id, self.sequence, self.data)


def named(job_id: UUID, sequence: int, data: dict[str, Any]) -> bytes:
    """The data of an event in a stream of several jobs, labelled with its job."""
    return _json({"job_id": str(job_id), "sequence": sequence, "data": data})


def end_frame(last: int, status: Status) -> bytes:
    """The last event of a stream. It is not stored, so it repeats the previous event's id."""
    return framed("end", _json({"status": status}), str(last))


def framed(kind: str, data: bytes, id_: str) -> bytes:
    """A server-sent event. data: one line of JSON."""
    return b"event: %b\ndata: %b\nid: %b\n\n" % (kind.encode(), data, id_.encode())


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()

"""A stored event as streams take it: made into bytes once, handed to every reader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from api.schemas.jobs import Status


@dataclass(frozen=True, eq=False)
class StoredEvent:
    """One entry of a job's log. All readers of the job have one and the same."""

    job_id: UUID
    sequence: int
    kind: str
    data: dict[str, Any]

    @property
    def status(self) -> Status | None:
        """What the job became by it, if anything."""
        return Status(self.data["status"]) if self.kind == "status" else None

    @cached_property
    def frame(self) -> bytes:
        """Over the wire, in the stream of its own job."""
        return framed(self.kind, _json(self.data), str(self.sequence))

    @cached_property
    def named(self) -> bytes:
        """Its data in a stream of many jobs."""
        return named(self.job_id, self.sequence, self.data)


def named(job_id: UUID, sequence: int, data: dict[str, Any]) -> bytes:
    """What a stream of many jobs says of one of them."""
    return _json({"job_id": str(job_id), "sequence": sequence, "data": data})


def end_frame(last: int, status: Status) -> bytes:
    """What ends a stream: no stored event, so it repeats the last one's id."""
    return framed("end", _json({"status": status}), str(last))


def framed(kind: str, data: bytes, id_: str) -> bytes:
    """A server-sent event. data: one line of JSON."""
    return b"event: %b\ndata: %b\nid: %b\n\n" % (kind.encode(), data, id_.encode())


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()

"""Submits an urgent search, for which a running one makes room. Later faults strike while they save, wait and go on."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import psycopg

from benchmarks.chaos.faults.fault import Fault, Target

_PATIENCE = 5.0  # seconds from the submission to the request to make room
_POLL = 0.1


class Preempt(Fault):
    """Preempts a running search. The urgent one is counted and compared like all others."""

    name = "preemption"

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when no search made room, as with an idle worker."""
        urgent = target.submit_urgent(draw)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(psycopg.Error), psycopg.connect(target.database_url, connect_timeout=2) as connection:
                asked = "select from events where kind = 'preempted' and data ->> 'by' = %s"
                if connection.execute(asked, [str(urgent)]).fetchone() is not None:
                    return True
            if target.over.wait(_POLL):
                break
        return False

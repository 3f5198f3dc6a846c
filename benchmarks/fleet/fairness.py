"""Measures how far the queue's division of a fleet is from max-min fairness, in simulated time.

Protocol: the owners' jobs are all queued when the first slot claims; the k-th of n owners has k parts of the jobs, and
owners with more jobs come first in the queue. A job's length is log-uniform between a minute and two hours, except that
every second owner's jobs are a tenth as long. A real API on a real Postgres answers the claims; the end of a job is a
report to it. Between two ends no time passes: the database's running attempts get the simulated seconds, as by
heartbeats, and the decayed sums of ended ones become older by them.

After each end, what each owner has had is compared with the max-min fair division of the same sum: equal parts, except
that no owner gets more than all its jobs need. The error is the part of the sum that is with the wrong owners: its mean
over the simulated time, and at the end of each quarter of the work. Running jobs are not preempted for fairness, so
what is left is of the size of a job: it falls as the sums grow. The second row of the report has the same jobs without
owners, which the queue takes by age alone.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.schemas.jobs import Failure
from api.schemas.worker import Claim, Claimed, Fail
from client.local.stack import LocalStack
from client.sdk import Dartboard

if TYPE_CHECKING:
    import httpx
    from psycopg import Connection

_SEARCH: Final[dict[str, Any]] = {"dataset": "digits", "epochs": 1}
# No heartbeat renews a lease.
_ENVIRONMENT: Final = {"DARTBOARD_LEASE_SECONDS": "86400"}
_SHORTEST, _LONGEST = 60.0, 7200.0
_QUARTERS: Final = (0.25, 0.5, 0.75)
_JOBS: Final = """
insert into jobs
select filled.* from unnest(%(owners)s::text[]) with ordinality as given (owner, number)
join jobs as template on template.id = %(template)s
cross join lateral jsonb_populate_record(template, jsonb_build_object(
    'id', uuidv7(make_interval(secs => 0.01 * number)), 'owner', given.owner, 'pool', %(pool)s::text
)) as filled order by number returning id
"""


@dataclass(frozen=True)
class Work:
    """A job to come. owner: its number."""

    owner: int
    seconds: float


def measure_fairness(
    *, owners: int, jobs: int, slots: int, seed: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Two rows: with the jobs' owners, and without."""
    with (
        TemporaryDirectory() as folder,
        LocalStack(Path(folder), port=0, workers=0, environment=_ENVIRONMENT) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        import httpx
        import psycopg

        environment = stack.processes["api"].command.environment
        url = environment["DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:")
        template = dartboard.submit("search", _SEARCH).id
        work = drawn(owners, jobs, seed)
        headers = {
            "Authorization": f"Bearer {environment['DARTBOARD_WORKER_KEY']}",
            "Content-Type": "application/json",
        }
        rows = []
        with (
            httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as http,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            for queue in ("fair share", "by age"):
                known = _enter(connection, template, queue, work, owned=queue == "fair share")
                row = _simulate(http, connection, queue, known, slots)
                rows.append({"queue": queue, **row})
                say(f"{queue}: {row['hours']} simulated hours, mean error {row['mean_percent']} %")
    return rows


def drawn(owners: int, jobs: int, seed: int) -> list[Work]:
    """The jobs in the order of the queue."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    parts = owners * (owners + 1) // 2
    counts = {owner: round(jobs * (owner + 1) / parts) for owner in range(owners)}
    counts[owners - 1] += jobs - sum(counts.values())
    return [
        Work(owner, _SHORTEST * (_LONGEST / _SHORTEST) ** rng.random() * (0.1 if owner % 2 else 1))
        for owner in reversed(range(owners))
        for _ in range(counts[owner])
    ]


def max_min(total: float, demands: Mapping[int, float]) -> dict[int, float]:
    """The max-min fair division of a total among owners who cannot use more than their demand."""
    fair, left = {}, total
    for number, (owner, demand) in enumerate(sorted(demands.items(), key=lambda item: item[1])):
        fair[owner] = min(demand, left / (len(demands) - number))
        left -= fair[owner]
    return fair


def error(had: Mapping[int, float], demands: Mapping[int, float]) -> float:
    """The part of all GPU-seconds that is with other owners than in the max-min fair division."""
    total = sum(had.values())
    fair = max_min(total, demands)
    return sum(abs(had.get(owner, 0) - fair[owner]) for owner in demands) / 2 / total


def _enter(
    connection: Connection[Any], template: UUID, pool: str, work: Sequence[Work], *, owned: bool
) -> dict[UUID, Work]:
    """Queue the jobs; their work by id."""
    owners = [f"owner {each.owner}" if owned else None for each in work]
    given = {"owners": owners, "template": template, "pool": pool.replace(" ", "-")}
    ids = sorted(row[0] for row in connection.execute(_JOBS, given))
    connection.execute("vacuum analyze")
    return dict(zip(ids, work, strict=True))


def _simulate(
    http: httpx.Client, connection: Connection[Any], queue: str, known: Mapping[UUID, Work], slots: int
) -> dict[str, Any]:
    pool = queue.replace(" ", "-")
    demands: dict[int, float] = defaultdict(float)
    for each in known.values():
        demands[each.owner] += each.seconds
    had = dict.fromkeys(demands, 0.0)
    all_work, now = sum(demands.values()), 0.0
    errors: list[tuple[float, float, float]] = []
    running: list[tuple[float, int, Claimed]] = []
    free = list(range(slots))
    while True:
        while free and (claimed := _claim(http, pool, free[-1])):
            heapq.heappush(running, (now + known[claimed.job_id].seconds, free.pop(), claimed))
        if not running:
            break
        then, slot, ended = heapq.heappop(running)
        _pass_time(connection, then - now)
        for claimed in (ended, *(claimed for *_, claimed in running)):
            had[known[claimed.job_id].owner] += then - now
        _end(http, ended)
        free.append(slot)
        if any(had.values()):
            errors.append((then - now, sum(had.values()) / all_work, error(had, demands)))
        now = then
    quarters = [next(wrong for _, part, wrong in errors if part >= quarter) for quarter in _QUARTERS]
    return {
        "jobs": len(known),
        "hours": round(now / 3600, 1),
        "mean_percent": round(100 * sum(seconds * wrong for seconds, _, wrong in errors) / now, 2),
        "quarters_percent": [round(100 * wrong, 2) for wrong in quarters],
    }


def _claim(http: httpx.Client, pool: str, slot: int) -> Claimed | None:
    claim = Claim(worker=f"slot {slot}", pools=[pool], threads=1)
    answer = http.post("/worker/claim", content=claim.model_dump_json()).raise_for_status()
    return Claimed.model_validate_json(answer.content) if answer.content else None


def _end(http: httpx.Client, claimed: Claimed) -> None:
    """End the attempt, by the shortest of the reports that do."""
    report = Fail(outcome="failed", error=Failure(type="Simulated", message="nothing was trained"))
    path, token = f"/worker/attempts/{claimed.attempt_id}/fail", {"X-Attempt-Token": claimed.token}
    http.post(path, content=report.model_dump_json(), headers=token).raise_for_status()


def _pass_time(connection: Connection[Any], seconds: float) -> None:
    connection.execute(
        "update attempts set seconds = seconds + %s, renewed_at = now() where status = 'running'", [seconds]
    )
    connection.execute("update shares set counted_at = counted_at - make_interval(secs => %s)", [seconds])

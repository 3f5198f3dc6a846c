"""The order in which queued jobs will be claimed, as preemption and `GET /queue` foresee it."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import pytest

from api.jobs.queue_order import in_turn

pytestmark = pytest.mark.light


class Row(NamedTuple):
    """A queued job."""

    id: UUID
    owner: str
    owner_seconds: float = 0
    project: str = ""
    project_seconds: float = 0
    pool: str = "default"
    gpus: int = 1
    most: int = 8
    priority: int = 9


def places(*rows: Row) -> list[int]:
    return [job.id.int for job in in_turn(rows)]


def test_each_claim_counts_for_the_next_one() -> None:
    rows = [Row(UUID(int=1), "ada"), Row(UUID(int=2), "ada"), Row(UUID(int=3), "bob", 30)]
    assert places(*rows) == [1, 3, 2]


def test_a_pool_has_no_more_than_it_has_workers() -> None:
    rows = [Row(UUID(int=number), "ada", pool=pool, most=1) for number, pool in enumerate(["a", "a", "b"], start=1)]
    assert places(*rows) == [1, 3]


def test_projects_of_an_owner_take_turns() -> None:
    rows = [Row(UUID(int=number), "ada", project=project) for number, project in enumerate("xxy", start=1)]
    assert places(*rows) == [1, 3, 2]


def test_a_higher_priority_is_taken_first_whatever_its_owner_has_had() -> None:
    rows = [Row(UUID(int=1), "ada", priority=5), Row(UUID(int=2), "bob", 1000, priority=6)]
    assert places(*rows) == [2, 1]

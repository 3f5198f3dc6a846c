"""Which slot an urgent job gets: properties of any fleet and any queue."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.jobs.preemption import Slot, assign
from api.jobs.queue_order import Urgent

pytestmark = pytest.mark.light

POOLS = ("a", "b", "c")
QUEUES = st.lists(st.tuples(st.sampled_from(POOLS), st.integers(1, 2)), max_size=6).map(
    lambda queue: [Urgent(UUID(int=100 + at), pool, gpus) for at, (pool, gpus) in enumerate(queue)]
)


@st.composite
def fleets(draw: st.DrawFn) -> list[Slot]:
    """Idle and busy workers; some free their slots for a job 100 to 106, which may have left the queue."""
    slots: list[Slot] = []
    for number in range(draw(st.integers(0, 8))):
        pools, gpus = draw(st.sets(st.sampled_from(POOLS), min_size=1)), draw(st.integers(1, 2))
        freed_for = draw(st.none() | st.integers(100, 106).map(lambda i: UUID(int=i)))
        if freed_for is not None and any(slot.freed_for == freed_for for slot in slots):
            freed_for = None  # a job takes one slot
        if draw(st.booleans()):
            slots.append(Slot(pools, gpus))
        else:
            yields = freed_for is None and draw(st.booleans())
            slots.append(Slot(pools, gpus, UUID(int=number), 1, draw(st.integers(0, 8)), yields, freed_for))
    return slots


@given(QUEUES, fleets())
def test_a_job_gets_a_slot_whose_claim_would_find_it_and_no_slot_is_given_twice(
    urgent: list[Urgent], slots: list[Slot]
) -> None:
    found = assign(urgent, slots)
    assert list(found) == [job.id for job in urgent]
    assert all(slot is None or slot.serves(job) for job, slot in zip(urgent, found.values(), strict=True))
    busy = [slot.job for slot in found.values() if slot and slot.job]
    assert len(busy) == len(set(busy))
    idle = sum(1 for slot in found.values() if slot and slot.job is None)
    assert idle <= sum(slot.job is None for slot in slots)


@given(QUEUES, fleets())
def test_only_a_job_that_yields_is_asked_and_only_without_an_idle_slot(urgent: list[Urgent], slots: list[Slot]) -> None:
    found = assign(urgent, slots)
    for number, job in enumerate(urgent):
        slot = found[job.id]
        if slot is None or slot.job is None or slot.freed_for is not None:
            continue
        assert slot.yields
        given_before = [found[earlier.id] for earlier in urgent[:number]]
        idle = [s for s in slots if s.job is None and s.serves(job)]
        assert all(given_before.count(s) == slots.count(s) for s in idle)


@given(QUEUES, fleets())
def test_a_job_keeps_the_slot_that_is_being_freed_for_it(urgent: list[Urgent], slots: list[Slot]) -> None:
    found = assign(urgent, slots)
    for slot in slots:
        for job in urgent:
            if slot.freed_for == job.id and slot.serves(job):
                assert found[job.id] == slot


@given(QUEUES, fleets())
def test_another_pass_asks_for_no_further_slot(urgent: list[Urgent], slots: list[Slot]) -> None:
    found = assign(urgent, slots)
    asked = {slot.job: by for by, slot in found.items() if slot and slot.job and slot.freed_for is None}
    after = [
        Slot(s.pools, s.gpus, s.job, s.attempt, s.priority, freed_for=asked[s.job]) if s.job in asked else s
        for s in slots
    ]
    again = assign(urgent, after)
    assert not [slot for slot in again.values() if slot and slot.job and slot.freed_for is None]


@given(fleets())
def test_the_job_with_the_lowest_priority_yields_and_of_equal_ones_the_youngest(slots: list[Slot]) -> None:
    job = Urgent(UUID(int=200), "a", 1)
    slot = assign([job], slots)[job.id]
    if slot is not None and slot.yields:
        yielding = [(s.priority, -s.job.int) for s in slots if s.job is not None and s.yields and s.serves(job)]
        assert slot.job is not None
        assert (slot.priority, -slot.job.int) == min(yielding)

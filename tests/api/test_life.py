from itertools import product

from api.jobs.life import TRANSITIONS
from api.schemas.jobs import Status

DESIGN = {
    "queued": {"running", "paused", "cancelled"},
    "running": {"succeeded", "failed", "cancelled", "pausing", "paused", "queued"},
    "pausing": {"paused", "succeeded", "failed", "cancelled"},
    "paused": {"queued", "cancelled"},
    "failed": {"queued"},
    "cancelled": {"queued"},
    "succeeded": set(),
}


def test_the_transition_table_is_the_designs() -> None:
    assert {(a, b): b in TRANSITIONS[a] for a, b in product(Status, Status)} == {
        (a, b): b in DESIGN[a] for a, b in product(Status, Status)
    }


def test_every_status_can_reach_an_end() -> None:
    for start in Status:
        reached, todo = {start}, [start]
        while todo:
            new = TRANSITIONS[todo.pop()] - reached
            reached |= new
            todo += new
        assert any(s.ended for s in reached), start

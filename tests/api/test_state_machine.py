from itertools import product

import pytest

from api.db.models import Job
from api.http.problems import ProblemError
from api.jobs.state_machine import TRANSITIONS, actions_of, check_action
from api.schemas.jobs import Status

pytestmark = pytest.mark.light

DESIGN = {
    "queued": {"running", "paused", "cancelled"},
    "running": {"succeeded", "failed", "cancelled", "pausing", "paused", "queued"},
    "pausing": {"paused", "succeeded", "failed", "cancelled"},
    "paused": {"queued", "cancelled"},
    "failed": {"queued"},
    "cancelled": {"queued"},
    "succeeded": {"queued"},
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


@pytest.mark.parametrize(
    ("action", "status", "advice"),
    [
        ("resume", "cancelled", "cannot resume a job that is cancelled: retry lets it go on"),
        ("resume", "failed", "cannot resume a job that is failed: retry lets it go on"),
        ("retry", "paused", "cannot retry a job that is paused: resume lets it go on"),
        ("pause", "paused", "cannot pause a job that is paused: resume lets it go on"),
        ("resume", "queued", "cannot resume a job that is queued: possible: cancel or pause"),
        ("retry", "succeeded", "cannot retry a job that is succeeded: possible: extend"),
    ],
)
def test_an_action_that_is_not_possible_names_the_one_that_is(action: str, status: str, advice: str) -> None:
    with pytest.raises(ProblemError) as found:
        check_action(Job(kind="search", status=status), action)
    assert (found.value.status, found.value.detail) == (409, advice)


def test_actions_and_transitions_agree() -> None:
    possible = {status: actions_of(Job(kind="search", status=status)) for status in Status}
    leads_to = {
        "cancel": {Status.CANCELLED},
        "pause": {Status.PAUSED, Status.PAUSING},
        "resume": {Status.QUEUED},
        "retry": {Status.QUEUED},
        "extend": {Status.QUEUED},
    }
    for action, to in leads_to.items():
        allowing = [status for status in Status if action in possible[status]]
        assert allowing
        assert all(TRANSITIONS[status] & to for status in allowing)
    assert [status for status in Status if "delete" in possible[status]] == [s for s in Status if s.ended]

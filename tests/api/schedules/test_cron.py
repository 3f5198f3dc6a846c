"""The times of a cron expression, also where the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schedules.cron import Cron, zone_of

BERLIN = zone_of("Europe/Berlin")
# The clocks go from 2:00 to 3:00 (1:00 UTC) on 29 March 2026, and from 3:00 back to 2:00 (1:00 UTC) on 25 October.
SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


def times(expression: str, start: datetime, count: int) -> list[str]:
    """The next times in UTC, as day and time of day."""
    cron, found = Cron(expression, BERLIN), []
    for _ in range(count):
        following = cron.after(start)
        assert following is not None
        start = following
        found.append(f"{start:%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("30 2 * * *", SPRING, ["29 01:00", "30 00:30"]),  # 2:30 does not exist: the end of the gap, 3:00
        ("0 3 * * *", SPRING, ["29 01:00", "30 01:00"]),
        ("0 2,3 * * *", SPRING, ["29 01:00", "30 00:00"]),  # both are then: once
        ("30 2 * * *", AUTUMN, ["25 00:30", "26 01:30"]),  # 2:30 occurs twice: the first time
        ("30 3 * * *", AUTUMN, ["25 02:30", "26 02:30"]),
        ("*/30 1-3 * * *", datetime(2026, 3, 29, tzinfo=UTC), ["29 00:30", "29 01:00", "29 01:30"]),
        ("*/30 * * * *", datetime(2026, 10, 25, 0, 29, tzinfo=UTC), ["25 00:30", "25 01:00", "25 01:30"]),
    ],
)
def test_times_around_a_change_of_the_clocks(expression: str, start: datetime, expected: list[str]) -> None:
    assert times(expression, start, len(expected)) == expected


@given(
    expression=st.sampled_from(
        ["30 2 * * *", "*/30 * * * *", "15 2,3 * * *", "* 2 * * *", "5 1-3 * * *", "0 */2 * * *"]
    ),
    change=st.sampled_from([SPRING, AUTUMN]),
    minutes=st.integers(0, 24 * 60),
    seconds=st.integers(0, 59),
)
def test_the_next_time_is_later_and_the_latest_one_of_its_own(
    expression: str, change: datetime, minutes: int, seconds: int
) -> None:
    moment, cron = change + timedelta(minutes=minutes, seconds=seconds), Cron(expression, BERLIN)
    following, latest = cron.after(moment), cron.latest(moment)
    assert following is not None
    assert latest is not None
    assert latest <= moment < following
    assert cron.latest(following) == following


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("* * * *", "has not five fields"),
        ("* * * * * *", "has not five fields"),
        ("61 * * * *", "bad minute"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 * * noday", "bad day-of-week"),
    ],
)
def test_a_bad_expression_names_its_field(expression: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Cron(expression, BERLIN)


@pytest.mark.parametrize("name", ["Europe/Berlinn", "Europe", "../etc/passwd", "x" * 300])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="give a name such as Europe/Berlin"):
        zone_of(name)

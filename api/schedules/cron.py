"""Finds the times of a cron expression in a time zone.

Where the clocks are put forward, a time of day that does not exist is replaced by the end of the gap; where they are
put back, one that occurs twice counts the first time. Both hold for given minutes and hours: where either begins with
`*`, such as `*/30`, elapsed time counts, as in Debian's cron.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_MINUTE: Final = timedelta(minutes=1)
_FIELDS: Final = "minute, hour, day of month, month and day of week"


class Cron:
    """The times of an expression with five fields. All moments are aware; those returned are in UTC."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Raises ValueError for an expression that cannot be read."""
        if len(expression.split()) != 5:
            raise ValueError(f"{expression!r} has not five fields: give {_FIELDS}, such as '30 2 * * 1-5'")
        self._expression, self._zone = expression, zone
        try:
            next(self._times(datetime.now(UTC)), None)
        except CronSimError as error:
            said = str(error)
            raise ValueError(f"{expression!r}: {said[:1].lower()}{said[1:]}; its fields are {_FIELDS}") from error

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than the moment; None if there is none in the next 50 years."""
        # In the repeated hour the library begins with times of its first pass.
        return next((time for time in self._times(moment) if time > moment), None)

    def latest(self, moment: datetime) -> datetime | None:
        """The latest time that is not later than the moment."""
        times = self._times(moment + _MINUTE, reverse=True)
        return next((time for time in times if time <= moment), None)

    def _times(self, moment: datetime, *, reverse: bool = False) -> Iterator[datetime]:
        for time in CronSim(self._expression, moment.astimezone(self._zone), reverse=reverse):
            yield time.astimezone(UTC)


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone. Raises ValueError for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not known: give a name such as Europe/Berlin, or UTC") from error

"""Kombu's transport for Redis and Valkey, which rejects a malformed message where the original ends its worker."""

from __future__ import annotations

from queue import Empty
from typing import Any

import structlog
from kombu.transport import redis

_log = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """Takes messages off the broker one by one; one that cannot be read is gone with a line in the log."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu has no types
        except (Empty, *self.connection_errors, *self.connection.channel_errors):
            raise
        except Exception as error:  # no JSON, no message of Celery's
            _log.warning("broker_message_rejected", error=f"{type(error).__name__}: {error}"[:300])
            raise Empty from error


class Transport(redis.Transport):
    """As the original, with the channel above."""

    Channel = Channel

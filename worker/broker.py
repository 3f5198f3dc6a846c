"""Rejects malformed messages in Kombu's transport for Redis and Valkey, where the original ends its worker."""

from __future__ import annotations

from queue import Empty
from typing import Any

import structlog
from kombu.transport import redis

_log = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """Reads messages one by one, and drops one that cannot be parsed with a line in the log."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu has no types
        except (Empty, *self.connection_errors, *self.connection.channel_errors):
            raise
        except Exception as error:  # neither JSON nor a Celery message
            _log.warning("broker_message_rejected", error=f"{type(error).__name__}: {error}"[:300])
            raise Empty from error


class Transport(redis.Transport):
    """The original with the channel above."""

    Channel = Channel

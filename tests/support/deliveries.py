"""Deliveries of a webhook."""

from __future__ import annotations

import time

from api.schemas.webhooks import DeliveryOut, WebhookCreated
from tests.support.service import Bench


def settled(bench: Bench, created: WebhookCreated) -> list[DeliveryOut]:
    """The deliveries, newest first, once none is waited for: the receiver knows of an answer before the service."""
    deadline = time.monotonic() + 30
    while True:
        found = list(bench.dartboard.deliveries(created.id))
        if all(each.state != "pending" for each in found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)

"""Renews the lease and receives directives, in a thread beside the training."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog

from api.schemas.worker import Heartbeat
from worker.api_client import AttemptApi, SupersededError
from worker.control import AttemptControl, StopReason
from worker.energy import EnergyMeter
from worker.prometheus import metrics
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread

_log = structlog.get_logger(__name__)
# Before the first step stages change within seconds, and no training is disturbed.
_PREPARING_HOLD = 1.0


class HeartbeatThread(SupervisedThread):
    """Sends heartbeats. Torch releases the interpreter's lock in its kernels, so training cannot starve this thread.

    The API holds its answer until it has a directive, a few seconds at most: a cancel arrives at once, and few requests
    are made. Training continues while the API does not answer; the lease gets grace when the API is back.
    """

    def __init__(
        self,
        api: AttemptApi,
        control: AttemptControl,
        settings: WorkerSettings,
        lease_seconds: float,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        super().__init__("heartbeat")
        self._api, self._control, self._settings = api, control, settings
        # One lost heartbeat must not cost the lease.
        self._hold = min(settings.heartbeat_seconds, lease_seconds / 4)
        self._give_up = give_up or _leave
        self._ending = False
        self._claimed_at = time.monotonic()

    def expect_the_end(self) -> None:
        """Expect a refusal: the attempt's last report is queued, and ends the attempt when it arrives."""
        self._ending = True

    def end(self) -> None:
        self._over.set()
        self.join(timeout=5)

    def work(self) -> None:
        energy = EnergyMeter(self._settings.gpus)
        next_beat = 0.0
        while not self._over.wait(max(0.0, next_beat - time.monotonic())):
            next_beat = time.monotonic() + self._settings.heartbeat_pause_seconds
            hold = self._hold
            if self._control.pause_after_epoch:
                hold = 0.0  # the API would answer a known pause at once
            elif self._control.preparing:
                hold = min(hold, _PREPARING_HOLD)
            try:
                answer = self._api.heartbeat(self._beat(hold, energy.joules()))
            except SupersededError as error:
                if not self._ending:
                    self._superseded(error)
                return
            except Exception as error:  # without this thread the lease would expire
                metrics().heartbeats_failed.inc()
                _log.warning("heartbeat_failed", error=f"{type(error).__name__}: {error}")
                continue
            if answer.at_once:
                self._control.stop(StopReason.PREEMPTED)
            elif answer.directive == "pause":
                self._control.pause_after_epoch = True

    def _beat(self, hold: float, joules: float | None) -> Heartbeat:
        ran = time.monotonic() - self._claimed_at
        return Heartbeat(progress=self._control.snapshot(), hold=hold, seconds=ran, joules=joules)

    def _superseded(self, error: SupersededError) -> None:
        _log.info("attempt_superseded", reason=str(error))
        self._control.stop(StopReason.SUPERSEDED)
        if not self._over.wait(self._settings.stop_grace_seconds):
            # A step can take a minute on a CPU, and nothing is left to save.
            self._give_up()


def _leave() -> None:
    os._exit(0)

"""The heartbeat: renews the lease, brings back what the job's owner wants."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog

from api.schemas.worker import Heartbeat
from worker.api_client import AttemptApi, SupersededError
from worker.control import AttemptControl, StopReason
from worker.prometheus import metrics
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread

_log = structlog.get_logger(__name__)
# Before the first step stages change within seconds, and there is no training to disturb.
_PREPARING_HOLD = 1.0


class HeartbeatThread(SupervisedThread):
    """Beats beside the training. Torch releases the interpreter's lock in its kernels, so training cannot starve it.

    The API holds its answer until there is something to say, a few seconds at most: a cancel comes at once, and a
    training that goes its way is hardly disturbed. An API that does not answer changes nothing: training goes on and
    the lease gets grace when the API is back.
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
        # A beat that is lost must not cost the lease.
        self._hold = min(settings.heartbeat_seconds, lease_seconds / 4)
        self._give_up = give_up or _leave
        self._ending = False
        self._claimed_at = time.monotonic()

    def expect_the_end(self) -> None:
        """The attempt's last report is on its way: a refusal from now on means that it has arrived."""
        self._ending = True

    def end(self) -> None:
        """Stop beating."""
        self._over.set()
        self.join(timeout=5)

    def work(self) -> None:
        """Beat until ended."""
        next_beat = 0.0
        while not self._over.wait(max(0.0, next_beat - time.monotonic())):
            next_beat = time.monotonic() + self._settings.heartbeat_pause_seconds
            hold = self._hold
            if self._control.pause_after_epoch:
                hold = 0.0  # a pause is not news a second time
            elif self._control.preparing:
                hold = min(hold, _PREPARING_HOLD)
            try:
                answer = self._api.heartbeat(self._beat(hold))
            except SupersededError as error:
                if not self._ending:
                    self._superseded(error)
                return
            except Exception as error:  # whatever it is: without this thread lease and cancel would be lost
                metrics().heartbeats_failed.inc()
                _log.warning("heartbeat_failed", error=f"{type(error).__name__}: {error}")
                continue
            if answer.directive == "pause":
                self._control.pause_after_epoch = True

    def _beat(self, hold: float) -> Heartbeat:
        ran = time.monotonic() - self._claimed_at
        return Heartbeat(progress=self._control.snapshot(), hold=hold, seconds=ran)

    def _superseded(self, error: SupersededError) -> None:
        _log.info("attempt_superseded", reason=str(error))
        self._control.stop(StopReason.SUPERSEDED)
        if not self._over.wait(self._settings.stop_grace_seconds):
            # A step can take a minute on a CPU. There is nothing left to save, so the process need not wait for it.
            self._give_up()


def _leave() -> None:
    os._exit(0)

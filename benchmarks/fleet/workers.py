"""Simulates a worker by the workers' API: its jobs sleep instead of training."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from typing import Any, Final

import httpx
from pydantic import BaseModel

from api.schemas.jobs import Progress
from api.schemas.worker import Claim, Claimed, Directive, EpochReport, Finish, Heartbeat, Presence, Release
from benchmarks.fleet.timing import Timed
from darts_core.genotypes import KNOWN, softmaxed, to_json

# The real workers' default.
_PRESENCE_SECONDS: Final = 5.0
_HOLD_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 1.0
_CHECKPOINT: Final = b"nothing that anybody resumes from"
_GENOTYPE: Final = to_json(KNOWN["DARTS_V2"])
_TABLE: Final = [[0.001 * (edge + column) for column in range(8)] for edge in range(14)]
_ALPHAS: Final = {"normal": _TABLE, "reduce": _TABLE}
_STRENGTHS: Final = softmaxed(_ALPHAS)


class SimulatedWorker:
    """Claims, sends heartbeats for a job's simulated duration, reports one epoch with a file, finishes.

    A preempted job is released after `step_seconds`.
    """

    step_seconds = 0.0

    def __init__(self, timed: Timed, number: int, pool: str, job_seconds: float, tell: Callable[[str], None]) -> None:
        """tell: called when a job has `ended`, was `preempted`, or was `lost` because the API answered too late."""
        self.name = f"simulated/{number}"
        self._timed, self._pool, self._job_seconds, self._tell = timed, pool, job_seconds, tell
        self._random = random.Random(number)  # noqa: S311 - no secret

    async def show(self) -> None:
        """Register repeatedly."""
        presence = Presence(name=self.name, pools=[self._pool], device="none", version="0")
        while True:
            await self._post("presence", "/worker/presence", presence)
            await asyncio.sleep(_PRESENCE_SECONDS)

    async def work(self) -> None:
        """Run one job after another; the first claim is recorded as `rush`."""
        claimed = await self._claim("rush")
        while True:
            if claimed is None:
                await asyncio.sleep(_IDLE_SECONDS)
            else:
                await self._see_through(claimed)
            claimed = await self._claim("claim")

    async def _see_through(self, claimed: Claimed) -> None:
        try:
            self._tell(await self._run(claimed))
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
            self._tell("lost")

    async def _claim(self, name: str) -> Claimed | None:
        answer = await self._post(name, "/worker/claim", Claim(worker=self.name, pools=[self._pool], threads=1))
        return None if answer.status_code == httpx.codes.NO_CONTENT else Claimed.model_validate_json(answer.content)

    def duration(self, claimed: Claimed) -> float:
        """The seconds that the job takes."""
        return self._job_seconds * self._random.uniform(0.5, 1.5)

    async def _run(self, claimed: Claimed) -> str:
        """The job's outcome, unless it is lost."""
        path, token = f"/worker/attempts/{claimed.attempt_id}", {"X-Attempt-Token": claimed.token}
        loop = asyncio.get_running_loop()
        over = loop.time() + self.duration(claimed)
        while (left := over - loop.time()) > 0:
            progress = Progress(epoch=1, epochs=1, step=int(1000 * (self._job_seconds - left)) % 1000, steps=1000)
            # Long polling: the API delays its answer, which is the pause.
            beat = Heartbeat(progress=progress, hold=min(left, _HOLD_SECONDS))
            answer = await self._post("heartbeat", f"{path}/heartbeat", beat, headers=token)
            if Directive.model_validate_json(answer.content).at_once:
                await asyncio.sleep(self.step_seconds)
                await self._post("release", f"{path}/release", Release(n=1, reason="pause"), headers=token)
                return "preempted"
        sha256 = hashlib.sha256(_CHECKPOINT).hexdigest()
        await self._timed.send("upload", "PUT", f"{path}/files/epoch-1.pt", content=_CHECKPOINT, headers=token)
        report = EpochReport(
            n=1,
            epoch=1,
            metrics={"validation_accuracy": 50.0},
            seconds=self._job_seconds,
            genotype=_GENOTYPE,
            alphas=_ALPHAS,
            strengths=_STRENGTHS,
            checkpoint="epoch-1.pt",
            sha256=sha256,
        )
        await self._post("epoch", f"{path}/epochs", report, headers=token)
        await self._post("finish", f"{path}/finish", Finish(n=2), headers=token)
        return "ended"

    async def _post(self, name: str, path: str, body: BaseModel, headers: dict[str, str] | None = None) -> Any:
        headers = {"Content-Type": "application/json", **(headers or {})}
        return await self._timed.send(name, "POST", path, content=body.model_dump_json(), headers=headers)

"""Measures the delay of new events to many streams of one job."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psutil

from api.schemas.jobs import JobOut
from api.schemas.worker import Claim, EpochReport, Finish
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.genotypes import KNOWN, softmaxed, to_json
from worker.api_client import AttemptApi, WorkerApi

_POOL = "bench-watchers"
# Beside other work a service that has just started may answer slowly, as it may while it opens a
# thousand streams. The benchmark measures slowness; a timeout must not end the run.
_PATIENCE_SECONDS = 300.0
_CELL = [[0.125 * (edge % 7) - 0.001 * column for column in range(8)] for edge in range(14)]
_ALPHAS = {"normal": _CELL, "reduce": _CELL}
_STRENGTHS = softmaxed(_ALPHAS)


def measure(
    *, streams: int, events: int, pause: float, data: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds from a worker's sending of an epoch to its arrival in each stream.

    API, Postgres and Valkey are separate processes, as are the readers; this process reports over HTTP as a worker
    does. An epoch's event carries all its alphas. Its checkpoint is uploaded before the clock starts. Raises
    RuntimeError when a stream misses or duplicates an event.
    """
    with TemporaryDirectory() as temporary, LocalStack(data or Path(temporary), port=0, workers=0) as stack:
        api = psutil.Process(stack.processes["api"].pid)
        key = stack.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
        with (
            Dartboard(stack.url, timeout=_PATIENCE_SECONDS) as dartboard,
            WorkerApi(stack.url, key, timeout=_PATIENCE_SECONDS) as worker,
        ):
            job = dartboard.submit("search", {"dataset": "digits", "epochs": events, "pool": _POOL})
            readers = _started(job, stack.url, streams)
            say(f"{streams} streams are open, the API uses {api.memory_info().rss / 2**20:.0f} MiB")
            claimed = worker.claim(Claim(worker="bench", pools=[_POOL], threads=1))
            assert claimed is not None
            memory, before = api.memory_info().rss, api.cpu_times()
            attempt = worker.attempt(str(claimed.attempt_id), claimed.token)
            _report(attempt, Path(temporary), events, pause)
            cpu = api.cpu_times()
            # Before the service stops: a stream cut off then never gets its end.
            told = _answer(readers)
    counts = {name: told[name] for name in ("refused", "reconnected", "without_end", "with_gaps", "incomplete")}
    if told["refused"] or told["without_end"] or told["incomplete"]:
        raise RuntimeError(f"not every stream had every event once and in order: {counts}")
    delays = list(told["delays"].values())
    each = sorted(delay for event in delays for delay in event)
    return {
        "streams": streams,
        "events": len(delays),
        "deliveries": len(each),
        "reconnected": counts["reconnected"],
        "p50_ms": _ms(at(each, 50)),
        "p99_ms": _ms(at(each, 99)),
        "max_ms": _ms(each[-1]),
        "p99_ms_of_events": [_ms(at(sorted(event), 99)) for event in delays],
        "last_reader_ms_median": _ms(median(max(event) for event in delays)),
        "opening_seconds": round(told["opening_seconds"], 2),
        "api_memory_mib": round(memory / 2**20, 1),
        "api_user_ms_an_event": _ms((cpu.user - before.user) / events),
        "api_system_ms_an_event": _ms((cpu.system - before.system) / events),
    }


def at(values: Sequence[float], percent: float) -> float:
    """The given percentile of sorted values: the smallest value not below that share of them."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _started(job: JobOut, url: str, streams: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.stream_readers"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    place = urlsplit(url)
    order = {"host": place.hostname, "port": place.port, "path": job.links["events"], "streams": streams}
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    if process.stdout.readline() != "open\n":
        raise RuntimeError(f"the readers ended with {process.wait()} before all streams were open")
    return process


def _report(attempt: AttemptApi, folder: Path, epochs: int, pause: float) -> None:
    genotype = to_json(KNOWN["DARTS_V2"])
    for epoch in range(1, epochs + 1):
        checkpoint = folder / f"epoch-{epoch}.pt"
        checkpoint.write_bytes(b"nothing that anybody resumes from")
        stored = attempt.upload(checkpoint)
        time.sleep(pause)
        report = EpochReport(
            n=epoch,
            epoch=epoch,
            metrics={"validation_accuracy": 50.0, "sent_at": time.monotonic()},
            seconds=pause,
            genotype=genotype,
            alphas=_ALPHAS,
            strengths=_STRENGTHS,
            checkpoint=checkpoint.name,
            sha256=stored.sha256,
        )
        attempt.report_epoch(report)
    time.sleep(pause)
    attempt.finish(Finish(n=epochs + 1))


def _answer(readers: subprocess.Popen[str]) -> dict[str, Any]:
    assert readers.stdout is not None
    told: dict[str, Any] = json.loads(readers.stdout.readline() or "{}")
    if readers.wait() or not told:
        raise RuntimeError(f"the readers ended with {readers.returncode} and no result")
    return told


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)

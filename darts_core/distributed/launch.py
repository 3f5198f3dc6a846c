"""Starts a run's ranks and exchanges orders and reports with them.

The parent computes nothing. A rank that fails or dies ends all of them with the cause; when the parent dies its pipes
close, and the ranks exit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Final

import torch

from darts_core.configs.common import TrainingConfig
from darts_core.distributed.messages import error_of, receive, report_of, send, send_tensors
from darts_core.errors import ConfigError, DartsError, Problem, RankLost
from darts_core.files.checkpoints import Checkpoint, Kind
from darts_core.training.control import Control, Progress
from darts_core.training.init_from import Source
from darts_core.training.reports import EpochReport
from darts_core.training.stages import PROCESSES, stage, tell

_POLL: Final = 0.05  # seconds between two checks of the control
# How long a rank's death may take to become visible after another rank lost its connection.
_DEATH_SHOWS: Final = 1.0
_CODE: Final = Path(__file__).resolve().parents[2]


def launch(
    kind: Kind,
    config: TrainingConfig,
    gpus: int,
    *,
    data_root: Path,
    device: torch.device,
    resume_from: Checkpoint | None,
    control: Control,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Run a resolved spec on `gpus` devices of this machine, or as many processes when `device` is a CPU.

    Raises an exception from before the first epoch at once and a later one from the iterator; RankLost when a rank
    dies. The processes are gone when the iterator ends, is closed or is garbage-collected.
    """
    _check_devices(gpus, device)
    order = {
        "kind": kind,
        "spec": config.model_dump(mode="json"),
        "data_root": str(data_root.absolute()),
        "device": device.type,
        "size": gpus,
        # Split, so that a run uses no more CPU than on one device.
        "threads": max(1, torch.get_num_threads() // gpus),
        "resume_from": resume_from,
        "source": source,
    }
    ranks = _Ranks(order, gpus)
    try:
        with stage(PROCESSES):
            ranks.await_ready(control)
    except BaseException:
        ranks.end()
        raise
    return _reports(ranks, control)


def _check_devices(gpus: int, device: torch.device) -> None:
    there = torch.cuda.device_count() if device.type == "cuda" else gpus
    if gpus > there:
        raise ConfigError([Problem(("gpus",), f"{gpus} wanted, this machine has {there}")])


def _reports(ranks: _Ranks, control: Control) -> Iterator[EpochReport]:
    try:
        while (report := ranks.next_report(control)) is not None:
            yield report
    finally:
        ranks.end()


class _Ranks:
    def __init__(self, order: dict[str, Any], size: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dartboard-ranks-")
        self._pipes: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopping = False
        try:
            for _ in range(size):
                self._start()
            # Only after all have started: a checkpoint fills the pipe until its rank reads it.
            for rank, pipe in enumerate(self._pipes):
                try:
                    send_tensors(pipe, "order", {**order, "rank": rank, "store": f"{self._folder.name}/store"})
                except OSError:
                    raise self._lost(rank) from None
        except BaseException:
            self.end()
            raise

    def await_ready(self, control: Control) -> None:
        """Wait until every rank has its data and its network."""
        waiting = set(range(len(self._pipes)))
        while waiting:
            rank, message = self._receive(control)
            if message["kind"] == "ready":
                waiting.discard(rank)

    def next_report(self, control: Control) -> EpochReport | None:
        """Train an epoch; None when there is none left."""
        for pipe in self._pipes:
            self._tell(pipe, "next")
        ended = 0
        while True:
            _, message = self._receive(control)
            match message["kind"]:
                case "report":
                    return report_of(message["value"])
                case "progress":
                    control.progress(Progress(*message["at"]))
                case "checkpoint":
                    control.keep(message["value"])
                case "end":
                    ended += 1
                    if ended == len(self._pipes):
                        return None

    def end(self) -> None:
        """End every rank. Idempotent."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for pipe in self._pipes:
            pipe.close()
        self._folder.cleanup()

    def _start(self) -> None:
        ours, theirs = Pipe()
        self._pipes.append(ours)
        path = os.pathsep.join([str(_CODE), *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "darts_core.distributed.rank", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": path},
                )
            )

    def _tell(self, pipe: Connection, kind: str) -> None:
        with contextlib.suppress(OSError):  # dead: reading from the pipe gives the cause
            send(pipe, kind)

    def _receive(self, control: Control) -> tuple[int, dict[str, Any]]:
        """The next message of any rank except log lines. Raises a rank's reported error, RankLost for a dead one."""
        while True:
            if not self._stopping and control.should_stop():
                self._stopping = True
                self._tell(self._pipes[0], "stop")
            for pipe in wait(self._pipes, timeout=_POLL):
                rank = self._pipes.index(pipe)  # type: ignore[arg-type]
                try:
                    message = receive(self._pipes[rank])
                except (EOFError, OSError):
                    raise self._lost(rank) from None
                if message["kind"] == "error":
                    raise self._cause(error_of(message))
                if message["kind"] == "stage":
                    tell(message["name"])
                    continue
                if message["kind"] != "log":
                    return rank, message
                logging.getLogger(message["logger"]).log(message["level"], "%s", message["text"])

    def _cause(self, error: Exception) -> Exception:
        """The error itself, unless it is the consequence of another rank's death."""
        deadline = time.monotonic() + (0.0 if isinstance(error, DartsError) else _DEATH_SHOWS)
        while True:
            for rank, process in enumerate(self._processes):
                if process.poll() is not None:
                    return self._lost(rank)
            if time.monotonic() >= deadline:
                return error
            time.sleep(_POLL)

    def _lost(self, rank: int) -> RankLost:
        try:
            code = self._processes[rank].wait(_DEATH_SHOWS)
        except subprocess.TimeoutExpired:
            return RankLost(f"process {rank} of {len(self._processes)} has closed its connection")
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        why = "; the system kills processes that take too much memory" if code == -9 else ""
        return RankLost(f"process {rank} of {len(self._processes)} {how}{why}")

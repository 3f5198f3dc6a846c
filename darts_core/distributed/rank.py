"""The program of one rank: `python -m darts_core.distributed.rank PIPE`, started only by launch.py.

It reads its order from the pipe (an inherited descriptor), joins the group, and trains an epoch on each request. Rank 0
reports. A closed pipe means that the parent is gone, and ends the rank.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.distributed import group as groups
from darts_core.distributed.messages import error_to_message, receive, report_to_message, send, send_tensors
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import Progress
from darts_core.training.evaluation import run_evaluation
from darts_core.training.reports import EpochReport
from darts_core.training.search import run_search
from darts_core.training.stages import follow


class _Parent:
    """The other end of the pipe; also the `Control` of rank 0's loop."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._next = threading.Semaphore(0)

    def listen(self) -> None:
        """Start receiving orders in a thread."""
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def say(self, kind: str, **values: Any) -> None:
        with self._sending:
            send(self._pipe, kind, **values)

    def report(self, report: EpochReport) -> None:
        with self._sending:
            send_tensors(self._pipe, "report", report_to_message(report))

    def wait_for_next(self) -> None:
        """Block until the next epoch is requested."""
        self._next.acquire()

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def progress(self, progress: Progress) -> None:
        self.say("progress", at=[progress.epoch, progress.epochs, progress.step, progress.steps, progress.left])

    def keep(self, checkpoint: Checkpoint) -> None:
        with self._sending:
            send_tensors(self._pipe, "checkpoint", {**checkpoint})

    def _listen(self) -> None:
        try:
            while True:
                match receive(self._pipe)["kind"]:
                    case "next":
                        self._next.release()
                    case "stop":
                        self._stop.set()
        except (EOFError, OSError):
            # The main thread may be blocked, even in a collective that never ends.
            os._exit(1)


class _Log(logging.Handler):
    """Forwards rank 0's log records to the parent's loggers."""

    def __init__(self, parent: _Parent) -> None:
        super().__init__(logging.INFO)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.say("log", logger=record.name, level=record.levelno, text=record.getMessage())


def main() -> int:
    # Ctrl-C reaches the whole terminal; the parent decides how the run ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    order = receive(pipe)["value"]
    parent = _Parent(pipe)
    parent.listen()
    try:
        _work(order, parent)
    except Exception as error:
        parent.say("error", **error_to_message(error))
    # Exiting now would break the others' connections, and their errors would hide the cause. The parent ends us.
    threading.Event().wait()
    return 0


def _work(order: dict[str, Any], parent: _Parent) -> None:
    rank, size = order["rank"], order["size"]
    device = torch.device("cuda", rank) if order["device"] == "cuda" else torch.device("cpu")
    torch.set_num_threads(order["threads"])
    if rank == 0:
        _log_to(parent)
        follow(lambda name: parent.say("stage", name=name))
    group = groups.join(rank, size, Path(order["store"]), device)
    reports = _reports(order, device, parent, group)
    parent.say("ready")
    while True:
        parent.wait_for_next()
        report = next(reports, None)
        if report is None:
            break
        if group.leads:
            parent.report(report)
    groups.leave()
    parent.say("end")


def _reports(
    order: dict[str, Any], device: torch.device, parent: _Parent, group: groups.Group
) -> Iterator[EpochReport]:
    options: dict[str, Any] = {
        "data_root": Path(order["data_root"]),
        "device": device,
        "resume_from": order["resume_from"],
        "control": parent,
        "group": group,
        "source": order["source"],
    }
    if order["kind"] == "search":
        return run_search(SearchConfig(**order["spec"]), **options)
    return run_evaluation(EvaluationConfig(**order["spec"]), **options)


def _log_to(parent: _Parent) -> None:
    logging.captureWarnings(True)
    for name in ("darts_core", "py.warnings"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(_Log(parent))


if __name__ == "__main__":
    sys.exit(main())

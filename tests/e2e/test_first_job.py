"""The first job of a new machine, which compiles its kernels."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil

from client.events import StepEvent
from client.sdk import Dartboard
from darts_core.training.stages import COMPILING
from tests.support.command_process import start
from tests.support.processes import Watch
from tests.support.small_search import SEARCH


def test_a_service_that_is_stopped_while_kernels_compile_leaves_no_process(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\nexec sleep 1000\n")
    compiler.chmod(0o755)
    watch = Watch()
    with start(
        *("up", "--port", "0", "--data", str(tmp_path / "data"), "--json"),
        XDG_CACHE_HOME=str(tmp_path),
        CXX=str(compiler),
        DARTBOARD_KERNELS="",
        CUDA_VISIBLE_DEVICES="",
    ) as up:
        assert up.stdout is not None
        with Dartboard(json.loads(up.stdout.readline())["url"]) as dartboard:
            events = dartboard.follow(dartboard.submit("search", SEARCH))
            assert any(isinstance(event, StepEvent) and event.progress.stage == COMPILING for event in events)
        service = psutil.Process(up.pid).children(recursive=True)
        assert any(child.name() == "sleep" for child in service)
        for process in service:
            watch.add(process.pid)
        up.send_signal(signal.SIGTERM)
        assert watch.all_ended()  # sooner than the supervisor would kill a worker that does not stop
        assert up.wait(20) == 0
    watch.close()

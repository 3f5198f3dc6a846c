"""The command's words about data sets whose files are not there."""

from __future__ import annotations

from uuid import uuid4

from api.schemas.worker import Presence
from tests.support.command import Caller
from worker.api_client import WorkerApi


def test_a_set_that_needs_files_is_shown_with_their_paths_and_workers(
    at_service: Caller, worker_api: WorkerApi
) -> None:
    worker = f"with-texts-{uuid4().hex[:8]}"
    for name, datasets in ((worker, ["ptb"]), (f"{worker}-not", [])):
        worker_api.show(Presence(name=name, pools=["none"], device="cpu", version="1", datasets=datasets))
    lines = at_service("datasets", "show", "ptb").out.splitlines()
    assert lines[:2] == ["ptb: needs files", "  files under the data root of every worker: ptb"]
    assert worker in lines[2].split(": ")[1].split(", ")
    assert f"{worker}-not" not in lines[2]
    assert at_service("datasets", "show", "digits").out.startswith("digits: ready\n  10 classes")

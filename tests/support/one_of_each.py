"""Fills a service with one small job of each kind, and backs it up: the fixture of `tests/e2e/test_upgrade.py`.

Run in a checkout of the release that the backup shall stand for:

    PYTHONPATH=. .venv/bin/python one_of_each.py dartboard-0.1.tar && xz -9 dartboard-0.1.tar
"""

from __future__ import annotations

import random
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from api.schemas.jobs import JobOut
from client.local import backups
from client.local.stack import LocalStack
from client.sdk import Dartboard

_TRAINING: Final[dict[str, Any]] = {"channels": 2, "layers": 3, "batch_size": 128}
_SEARCH: Final[dict[str, Any]] = {"dataset": "digits", **_TRAINING, "nodes": 1, "epochs": 2}
_WORDS: Final[dict[str, Any]] = {"family": "rnn", "dataset": "words", "hidden_size": 8, "batch_size": 4, "bptt": 4}


def main(to: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with (
            LocalStack(data, port=0, workers=1, environment={"OMP_NUM_THREADS": "1"}) as stack,
            Dartboard(stack.url, timeout=60) as dartboard,
        ):
            fill(dartboard, Path(folder))
        backups.backup(data, to)


def fill(dartboard: Dartboard, folder: Path) -> None:
    """Data sets, a job of each kind, one paused and one cancelled, an uploaded checkpoint, a registered cell."""
    for name, make in (("pets", _pets), ("words", _words)):
        make(folder / name)
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            archive.add(folder / name, name)
        dartboard.add_dataset(name, folder / f"{name}.tar")
        dartboard.wait_for_dataset(name)

    def run(kind: str, **body: Any) -> JobOut:
        job = dartboard.wait(dartboard.submit(kind, body))
        assert job.status == "succeeded", job.error
        return job

    search = run("search", **_SEARCH, name="a search", labels={"made": "earlier"})
    run("search", **{**_SEARCH, "dataset": "pets", "batch_size": 4, "order": 2, "epochs": 1})
    recurrent = run("search", **_WORDS, epochs=2, nodes=2)
    first = run("evaluation", search_id=str(search.id), **_TRAINING, epochs=2)
    second = run("evaluation", genotype="DARTS_V2", dataset="digits", **_TRAINING, epochs=1)
    run("evaluation", search_id=str(recurrent.id), **_WORDS, epochs=1)
    run("score", evaluation_id=str(first.id), dataset="digits")
    members = [{"evaluation_id": str(member.id)} for member in (first, second)]
    run("ensemble", members=members, dataset="digits", combine="mean")
    short = {**_TRAINING, "epochs": 1}
    of_study = {"search": {**_SEARCH, "epochs": 1}, "short_retrain": short, "final": short, "final_runs": 1}
    run("study", seeds=[0, 1], **of_study)
    of_committee = {"search": {**_SEARCH, "epochs": 1}, "evaluation": short, "ensemble": {"combine": "mean"}}
    run("committee", spaces=["space1", "space2"], **of_committee)
    checkpoint = folder / "uploaded.pt"
    dartboard.download_checkpoint(str(first.id), checkpoint)
    dartboard.upload_checkpoint(checkpoint)
    dartboard.register_genotype("REGISTERED", dartboard.genotype(str(search.id)).text)

    paused = dartboard.submit("search", {**_SEARCH, "name": "to be resumed", "epochs": 4, "channels": 4})
    for event in dartboard.follow(paused):
        if event.kind == "epoch" and event.data["epoch"] == 1:
            dartboard.pause(paused.id)
        elif event.kind == "status" and event.data["status"] == "paused":
            break
    dartboard.cancel(dartboard.submit("search", {**_SEARCH, "name": "cancelled"}).id)


def _pets(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for label, light in (("cat", 120), ("dog", 0)):
        (folder / label).mkdir(parents=True)
        for i in range(12):
            pixels = (draw.integers(0, 60, (8, 8, 3)) + light).astype("uint8")
            Image.fromarray(pixels).save(folder / label / f"{i}.png")


def _words(folder: Path) -> None:
    draw = random.Random(0)
    folder.mkdir()
    for part, lines in (("train", 60), ("valid", 20), ("test", 20)):
        text = [" ".join(f"w{draw.randrange(12)}" for _ in range(9)) for _ in range(lines)]
        (folder / f"{part}.txt").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

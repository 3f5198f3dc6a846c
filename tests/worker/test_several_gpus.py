"""A job that asks for two GPUs, as the worker's runner runs it: on a CPU, two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from darts_core.files import checkpoints
from darts_core.training.control import Uncontrolled
from tests.support.same_bits import assert_same_bits
from worker.runners import evaluation, search
from worker.runners.runner import Report, Runner

COMMON = {
    "dataset": "folder:tiny",
    "batch_size": 6,
    "channels": 2,
    "layers": 3,
    "crop_padding": 1,
    "epochs": 2,
    "checkpoint_seconds": 1e-9,
}
SEARCH = {**COMMON, "nodes": 1, "primitives": ["none", "skip_connect", "dil_conv_3x3"], "unrolled": True}
EVALUATION = {**COMMON, "genotype": "DARTS_V1", "auxiliary": False, "drop_path": 0.5}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for place, name in enumerate(("dark", "light")):
        (root / "tiny" / name).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(60 * place, 60 * place + 100, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "tiny" / name / f"{i}.png")
    return root


class Keeper(Uncontrolled):
    """Runs to the end and keeps the checkpoints from the middle of epochs."""

    def __init__(self) -> None:
        self.kept: list[checkpoints.Checkpoint] = []

    def keep(self, checkpoint: checkpoints.Checkpoint) -> None:
        self.kept.append(checkpoint)


@pytest.mark.parametrize(
    ("runner", "spec", "where"),
    [(search.run, SEARCH, "in the middle of one"), (evaluation.run, EVALUATION, "between epochs")],
    ids=["search", "evaluation"],
)
def test_resumed_job_on_two_processes_equals_the_undisturbed_one_bit_for_bit(
    runner: Runner, spec: dict[str, Any], where: str, data_root: Path, tmp_path: Path
) -> None:
    control = Keeper()
    first, undisturbed = runner(spec, data_root=data_root, resume_from=None, inputs={}, control=control, gpus=2)
    middle = next(kept for kept in control.kept if kept["epoch"] == 1)  # the first step of epoch 2 is in it
    file = tmp_path / "resume.pt"
    if where == "between epochs":
        first.files["epoch-1.pt"](file)
    else:
        checkpoints.save(middle, file)
    [resumed] = runner(spec, data_root=data_root, resume_from=file, inputs={}, control=Uncontrolled(), gpus=2)
    assert (resumed.epoch, resumed.metrics) == (2, undisturbed.metrics)
    ends = [checkpoint_of(report, tmp_path) for report in (undisturbed, resumed)]
    assert ends[1]["environment"]["ranks"] == 2
    assert_same_bits(*ends)


def checkpoint_of(report: Report, folder: Path) -> checkpoints.Checkpoint:
    report.files["epoch-2.pt"](folder / "epoch-2.pt")
    return checkpoints.read(folder / "epoch-2.pt")

"""A job that asks for two GPUs, as the worker's runner runs it: on a CPU, two processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darts_core import checkpoints
from darts_core.training.run import UNCONTROLLED
from worker.runners import evaluation, search

from same_bits import assert_same_bits

COMMON = {"dataset": "folder:tiny", "batch_size": 6, "channels": 2, "layers": 3, "crop_padding": 1, "epochs": 2}
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


@pytest.mark.parametrize(("runner", "spec"), [(search.run, SEARCH), (evaluation.run, EVALUATION)], ids=str)
def test_resumed_job_on_two_processes_equals_the_undisturbed_one_bit_for_bit(
    runner: object, spec: dict[str, object], data_root: Path, tmp_path: Path
) -> None:
    assert callable(runner)
    options = {"data_root": data_root, "control": UNCONTROLLED, "gpus": 2}
    first, undisturbed = runner(spec, resume_from=None, **options)
    checkpoints.save(first.checkpoint, tmp_path / "epoch-1.pt")
    [resumed] = runner(spec, resume_from=tmp_path / "epoch-1.pt", **options)
    assert (resumed.epoch, resumed.metrics) == (2, undisturbed.metrics)
    assert resumed.checkpoint["environment"]["ranks"] == 2
    assert_same_bits(undisturbed.checkpoint, resumed.checkpoint)

"""A user's own images: uploaded, searched on, retrained on, measured."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from client.errors import ServiceUnreachableError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.archives import pets, tar_of


def write_stripes(path: Path) -> None:
    """Two classes of 8x8 images that anybody can tell apart."""
    random = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as archive:
        for label, axis in (("across", 0), ("upright", 1)):
            for i in range(30):
                stripes = np.indices((8, 8))[axis] % 2 * 200 + random.integers(0, 50, (8, 8))
                content = io.BytesIO()
                Image.fromarray(stripes.astype(np.uint8)).save(content, "PNG")
                member = tarfile.TarInfo(f"stripes/{label}/{i}.png")
                member.size = len(content.getvalue())
                archive.addfile(member, io.BytesIO(content.getvalue()))


def test_uploaded_images_are_searched_on_retrained_on_and_scored(
    stack: LocalStack, dartboard: Dartboard, data: Path, tmp_path: Path
) -> None:
    write_stripes(tmp_path / "stripes.tar.gz")
    dartboard.add_dataset("stripes", tmp_path / "stripes.tar.gz")
    dataset = dartboard.wait_for_dataset("stripes")
    assert dataset.state == "ready", dataset.error
    small = {"epochs": 1, "channels": 2, "layers": 3, "batch_size": 8, "crop_padding": 0, "flip": False}
    search = dartboard.wait(dartboard.submit("search", {"dataset": "stripes", "nodes": 1, **small}))
    assert search.status == "succeeded", search.error
    assert (data / "datasets" / "uploads" / f"{dataset.checksum}.safetensors").exists()
    body = {"search_id": str(search.id), **small, "cutout": 0}
    evaluation = dartboard.wait(dartboard.submit("evaluation", body))
    assert evaluation.status == "succeeded", evaluation.error
    assert evaluation.spec["dataset_checksum"] == dataset.checksum
    assert evaluation.metrics is not None
    assert evaluation.best is not None
    assert evaluation.best["epoch"] == 1
    assert "validation_accuracy" in evaluation.metrics
    checkpoint = dartboard.download_checkpoint(evaluation.id, tmp_path)
    command = [sys.executable, "-m", "darts_core.scoring", str(checkpoint), "--data-root", str(data / "datasets")]
    scored = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert scored["images"] == 12
    dartboard.remove_dataset("stripes")


def test_check_that_the_death_of_the_api_interrupted_is_done_again(
    stack: LocalStack, dartboard: Dartboard, tmp_path: Path
) -> None:
    (tmp_path / "pets.tar").write_bytes(tar_of(pets(each=300)))
    dartboard.add_dataset("interrupted", tmp_path / "pets.tar")
    api = psutil.Process(stack.processes["api"].pid)
    children = api.children()
    api.kill()
    psutil.wait_procs(children, timeout=30)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            dataset = dartboard.wait_for_dataset("interrupted")
            break
        except ServiceUnreachableError:
            time.sleep(0.2)
    assert dataset.state == "ready", dataset.error
    assert not any(child.is_running() for child in children)
    dartboard.remove_dataset("interrupted")

"""`dartboard bench decode` in one round."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.decode import photograph
from client.cli import app


def test_photographs_are_the_same_each_time_and_compress_like_those_of_imagenet() -> None:
    pixels = photograph(3)
    assert pixels.shape == (375, 500, 3)
    assert np.array_equal(pixels, photograph(3))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=94)
    assert 70_000 < len(file.getvalue()) < 150_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_decoder_is_measured_beside_the_step() -> None:
    options = ["bench", "decode", "--rounds", "1", "--batch", "4", "--step-batch", "2", "--json"]
    answer = CliRunner().invoke(app, options, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    result = json.loads(answer.stdout)
    assert result["step"]["median"] > 0
    rows = {(row["images"], row["decoder"], row["by"]) for row in result["decoders"]}
    for images in ("training crops", "measured centres"):
        for by in ("1 thread", "2 threads", "2 processes"):
            assert {(images, "pillow", by), (images, "torchvision", by)} <= rows
    assert all(0 < row["least"] <= row["median"] <= row["most"] for row in result["decoders"])

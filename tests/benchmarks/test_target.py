"""The benchmarks of `target`: cells under a growing weight, and latencies that are summed up."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.latency import compare
from benchmarks.target import searches
from darts_core.profile.shapes import Shape

pytestmark = pytest.mark.slow


def test_a_weight_is_compared_with_none(tmp_path: Path) -> None:
    said: list[str] = []
    spec = {"dataset": "digits", "epochs": 1, "channels": 2, "layers": 2, "nodes": 1}
    rows = searches(spec, weights=[0, 1], seeds=[0, 1], data_root=tmp_path, say=said.append)
    assert [row["weight"] for row in rows] == [0, 1]
    assert len(said) == 4
    assert all(one["multiply_adds"] > 0 for row in rows for one in row["searches"])


def test_latencies_are_predicted_with_an_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = compare(Shape(2, 2, 3, 8), torch.device("cpu"), cells=5)
    for name in ("summed_error", "fitted_error"):
        assert 0 <= result[name]["low"] <= result[name]["median"] <= result[name]["high"]
    assert result["cells"] == 5

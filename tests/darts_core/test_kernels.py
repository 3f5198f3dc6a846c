from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from darts_core.kernels import building
from darts_core.models.supernet import SearchCell
from darts_core.primitives import CNN_SPACES


def test_without_a_compiler_torch_goes_on_alone_and_the_log_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(building.SWITCH, str(tmp_path))
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with caplog.at_level(logging.WARNING):
        assert not building.available.__wrapped__()
    assert len(caplog.records) == 1
    assert "torch's own operations" in caplog.text


@pytest.mark.skipif("not building.available()", reason="no compiler, no kernels")
def test_compiler_that_comes_later_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "sources" / "empty.cpp"
    source.parent.mkdir()
    source.write_text('extern "C" int nothing() { return 0; }')
    monkeypatch.setattr(building, "_SOURCES", source.parent)
    monkeypatch.setenv(building.SWITCH, str(tmp_path / "cache"))
    with monkeypatch.context() as without:
        without.setenv("CXX", "/nowhere/c++")
        assert not building.available.__wrapped__()
    assert building.available.__wrapped__()


def test_kernels_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(building.SWITCH, "off")
    assert not building.available.__wrapped__()


def test_other_source_is_compiled_anew(tmp_path: Path) -> None:
    source = tmp_path / "kernel.cpp"
    source.write_text("1")
    before = building._key([source])
    source.write_text("2")
    assert building._key([source]) != before


@pytest.mark.skipif("not building.available()", reason="no compiler, no kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [4, 32])
def test_kernels_give_the_same_bits_for_any_number_of_threads(dtype: torch.dtype, channels: int) -> None:
    torch.manual_seed(0)
    cell = SearchCell(
        CNN_SPACES["darts"], 3, channels, channels, channels, reduction=False, after_reduction=False, fused=True
    ).to(dtype)  # fmt: skip
    inputs = [torch.randn(5, channels, 9, 10, dtype=dtype, requires_grad=True) for _ in range(2)]
    weights = torch.rand(9, 8, dtype=dtype, requires_grad=True)
    towards = torch.randn(5, 3 * channels, 9, 10, dtype=dtype)

    def seen() -> list[Tensor]:
        assert cell.fused is not None
        out = cell.fused(cell, inputs[0], inputs[1], weights)
        edges = [parameter for name, parameter in cell.named_parameters() if name.startswith("_ops")]
        return [out, *torch.autograd.grad(out, [*inputs, weights, *edges], towards)]

    alone = seen()
    torch.set_num_threads(3)
    assert all(torch.equal(a, b) for a, b in zip(seen(), alone, strict=True))

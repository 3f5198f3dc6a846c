from __future__ import annotations

import logging
import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from darts_core.kernels import levels, library, loader
from darts_core.kernels.compile_library import compile_library
from darts_core.kernels.library import SWITCH, Library, chosen
from darts_core.models.supernet import SearchCell
from darts_core.spaces import SPACES


def empty_source(folder: Path) -> Path:
    """A folder of kernels that are compiled in no time."""
    sources = folder / "sources"
    sources.mkdir()
    (sources / "empty.cpp").write_text('extern "C" int nothing() { return 0; }')
    return sources


def recording_compiler(folder: Path) -> Path:
    """A compiler that writes its arguments into the file `calls`."""
    compiler = folder / "recording-c++"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    return compiler


def test_without_a_compiler_torch_goes_on_alone_and_the_log_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SWITCH, str(tmp_path))
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with caplog.at_level(logging.WARNING):
        assert not loader._usable.__wrapped__("float32")
    assert len(caplog.records) == 1
    assert "torch's own operations" in caplog.text


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
def test_compiler_that_comes_later_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SOURCES", empty_source(tmp_path))
    monkeypatch.setenv(SWITCH, str(tmp_path / "cache"))
    with monkeypatch.context() as without:
        without.setenv("CXX", "/nowhere/c++")
        assert not loader._usable.__wrapped__("float32")
    assert loader._usable.__wrapped__("float32")


def test_kernels_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert not loader._usable.__wrapped__("float32")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of kernels that no one has chosen a folder for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dartboard"


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """(levels, machine): a processor that has the features of these levels and no other."""

    def has(*names: str, machine: str = "x86_64") -> None:
        flags = " ".join(flag for name in names for flag in levels._NEEDED[name])
        monkeypatch.setattr(levels, "_line", lambda start: f"{start}\t\t: {flags}")
        monkeypatch.setattr("platform.machine", lambda: machine)

    return has


@pytest.mark.parametrize("level", levels.FLAGS)
def test_a_levels_name_chooses_it_and_the_users_cache(
    level: str, cache: Path, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor("v2", "v3", "v4")
    monkeypatch.setenv(SWITCH, level)
    assert chosen() == (level, cache)


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_choice_the_kernels_are_for_this_very_processor(
    value: str | None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(SWITCH, value)
    assert chosen() == (levels.NATIVE, cache)


@pytest.mark.parametrize("folder", ["/var/kernels", "./kernels", "v3/"])
def test_a_path_chooses_the_folder(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, folder)
    assert chosen() == (levels.NATIVE, Path(folder))


@pytest.mark.parametrize("value", ["v5", "V3", "on", "x86-64-v3"])
def test_an_unknown_value_is_refused_with_the_allowed_ones(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SWITCH, value)
    message = f"DARTBOARD_KERNELS={value}: give off, native, v2, v3, v4, or a folder's path (./{value})"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        chosen()
    with caplog.at_level(logging.WARNING):
        assert not loader._usable.__wrapped__("float32")
    assert message in caplog.text


@pytest.mark.parametrize(
    ("has", "asked", "lacking"),
    [
        (["v3", "v4"], "v2", "cx16, lahf_lm, popcnt, pni, sse4_1, sse4_2, ssse3"),
        (["v2", "v4"], "v3", "avx, avx2, bmi1, bmi2, f16c, fma, abm, movbe, xsave"),
        (["v2", "v3"], "v4", "avx512f, avx512bw, avx512cd, avx512dq, avx512vl"),
        (["v2", "v4"], "v4", "avx, avx2, bmi1, bmi2, f16c, fma, abm, movbe, xsave"),
    ],
)
def test_a_level_that_the_processor_lacks_is_refused_with_the_missing_features(
    has: list[str], asked: str, lacking: str, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(*has)
    monkeypatch.setenv(SWITCH, asked)
    with pytest.raises(ValueError, match=f"^DARTBOARD_KERNELS={asked}: this processor lacks {lacking}$"):
        chosen()


def test_levels_are_refused_on_another_kind_of_machine(
    cache: Path, processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor("v2", machine="aarch64")
    monkeypatch.setenv(SWITCH, "v2")
    with pytest.raises(ValueError, match="level v2 is for x86-64 alone, and this machine is aarch64"):
        chosen()
    monkeypatch.setenv(SWITCH, "native")
    assert chosen() == (levels.NATIVE, cache)


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
@pytest.mark.parametrize("value", ["native", "v2", "FOLDER"])
def test_the_compiler_gets_the_levels_flag_and_writes_into_the_folder(
    value: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value == "v2" and platform.machine() != "x86_64":
        pytest.skip("levels are those of x86-64")
    monkeypatch.setattr(library, "SOURCES", empty_source(tmp_path))
    monkeypatch.setenv("CXX", str(recording_compiler(tmp_path)))
    folder, level = (tmp_path / "own", levels.NATIVE) if value == "FOLDER" else (cache, value)
    monkeypatch.setenv(SWITCH, str(folder) if value == "FOLDER" else value)
    assert loader._usable.__wrapped__("float32")
    (built,) = folder.glob("dartboard_float32_*/kernels.so")
    assert built.is_file()
    assert f" {levels.FLAGS[level]} " in (tmp_path / "calls").read_text()


def test_other_source_is_compiled_anew(tmp_path: Path) -> None:
    sources = empty_source(tmp_path)
    before = Library(levels.NATIVE, "float32", tmp_path, sources).folder
    (sources / "empty.cpp").write_text("2")
    assert Library(levels.NATIVE, "float32", tmp_path, sources).folder != before


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """An image that has brought its kernels for v3 to a machine without a compiler."""
    if not levels.supported("v3"):
        pytest.skip("this processor does not run v3")
    monkeypatch.setattr(library, "SOURCES", empty_source(tmp_path))
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "built")
    shipped = Library("v3", "float32", library.SHIPPED, library.SOURCES)
    compile_library(shipped)
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setenv(SWITCH, str(tmp_path / "cache"))
    return shipped


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
def test_an_images_kernels_need_no_compiler(image: Library) -> None:
    assert loader._usable.__wrapped__("float32")


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
def test_an_images_kernels_of_other_sources_are_left_alone(image: Library) -> None:
    (image.sources / "empty.cpp").write_text('extern "C" int nothing() { return 1; }')
    assert not loader._usable.__wrapped__("float32")


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
def test_an_images_kernels_of_a_level_that_the_processor_lacks_are_left_alone(
    image: Library, processor: Callable[..., None]
) -> None:
    processor("v2")
    assert not loader._usable.__wrapped__("float32")


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
def test_an_images_kernels_of_another_torch_are_left_alone(image: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "version", lambda name: "2.0.0")
    assert not loader._usable.__wrapped__("float32")


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [4, 32])
def test_kernels_give_the_same_bits_for_any_number_of_threads(dtype: torch.dtype, channels: int) -> None:
    torch.manual_seed(0)
    cell = SearchCell(
        SPACES["darts"].primitives, 3, channels, channels, channels, reduction=False, after_reduction=False, fused=True
    ).to(dtype)  # fmt: skip
    assert loader.available(dtype)
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

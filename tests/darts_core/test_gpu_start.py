"""When a process uses the GPU kernels, and what a search reports of it. Needs no GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.distributed.group import Group
from darts_core.kernels import gpu
from darts_core.kernels.gpu.start import cells_of, enable_kernels, precisions_of
from darts_core.kernels.library import SWITCH
from darts_core.training import image_search
from darts_core.training.kernel_use import KernelUse
from tests.support.self_test_checks import Checks

self_test = pytest.importorskip("darts_core.kernels.gpu.self_test", reason="no Triton, no GPU kernels")
GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def afterwards_none(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(SWITCH, raising=False)  # these tests may run with the kernels switched off
    yield
    gpu.disable()


def spec(**values: object) -> SearchConfig:
    return SearchConfig(**{"dataset": "cifar10", "precision": "float32", **values}).resolved()


def sizes(config: SearchConfig, side: int = 32, stem: str = "cifar") -> list[tuple[int, int, bool]]:
    found = cells_of(config, stem=stem, size=(side, side))  # type: ignore[arg-type]
    return [(cell.channels, cell.height, cell.reduction) for cell in found]


@pytest.mark.parametrize("channels", [16, 36])
def test_the_self_test_has_every_width_and_map_of_the_search(channels: int) -> None:
    assert sizes(spec(channels=channels)) == [
        (channels, 32, False),
        (2 * channels, 32, True),
        (2 * channels, 16, False),
        (4 * channels, 16, True),
        (4 * channels, 8, False),
    ]


def test_the_self_test_has_the_maps_behind_the_stem() -> None:
    assert sizes(spec(channels=48, layers=3, reductions=[2]), 224, "imagenet") == [(48, 28, False), (96, 28, True)]


def test_the_self_test_has_the_cells_of_all_stages() -> None:
    stages = {cell.partial for cell in cells_of(spec(method="drnas-progressive"), stem="cifar", size=(32, 32))}
    assert len(stages) > 1


def test_the_second_order_is_also_tested_in_float32() -> None:
    first, second = (precisions_of(spec(precision="bf16", order=order), GPU) for order in (1, 2))
    assert [each.dtype for each in first] == [torch.bfloat16]
    assert [(each.dtype, each.tf32) for each in second][1:] == [(torch.float32, False)]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    found = Checks()
    monkeypatch.setattr(self_test, "check_kernels", found)
    monkeypatch.setattr("darts_core.kernels.gpu.start._passed", set())
    return found


def enable(config: SearchConfig) -> bool:
    enable_kernels(config, GPU, stem="cifar", size=(32, 32))
    return gpu.available()


def test_a_failure_is_tried_again_by_the_next_run(checks: Checks) -> None:
    (triton_error,) = gpu.compile_errors()
    checks.error = triton_error("disk full\na listing")
    assert not enable(spec())
    assert gpu.failure() == "the GPU kernels failed their self-test: TritonError: disk full"
    checks.error = None
    assert enable(spec())
    assert gpu.failure() is None


def test_what_passed_is_not_tested_again_but_other_shapes_are(checks: Checks) -> None:
    for config in (spec(), spec(seed=1), spec(channels=36)):
        assert enable(config)
    assert checks.count == 2


@pytest.mark.parametrize("values", [{"fused": False}, {"precision": "float64"}, {"space": "nasbench201"}])
def test_a_search_without_fused_cells_wants_no_kernels(values: dict[str, object], checks: Checks) -> None:
    assert not enable(spec(**values))
    assert (checks.count, gpu.failure()) == (0, None)


def test_kernels_that_are_switched_off_are_no_failure(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert not enable(spec())
    assert (checks.count, gpu.failure()) == (0, None)


def test_the_jobs_warnings_and_metrics_tell_of_kernels_that_failed(
    search_config: Callable[..., SearchConfig], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_search, "wants_kernels", lambda *_: True)
    monkeypatch.setattr("darts_core.training.images.enable_kernels", lambda *_, **__: gpu.disable("no compiler"))
    first, second = run_search(search_config(epochs=2), data_root=data_root)
    assert first.warnings[0] == "no compiler; torch's own operations compute, which takes longer"
    assert "no compiler" not in " ".join(second.warnings)
    assert (first.metrics["gpu_kernels"], second.metrics["gpu_kernels"]) == (0, 0)


def test_a_search_on_a_cpu_tells_nothing_of_kernels(
    search_config: Callable[..., SearchConfig], data_root: Path
) -> None:
    (report,) = run_search(search_config(epochs=1), data_root=data_root)
    assert "gpu_kernels" not in report.metrics


class OneWithout(Group):
    """Two GPUs, of which the other has no kernels."""

    def all_agree(self, answer: bool) -> bool:
        """No."""
        return False


def test_the_report_tells_of_another_gpu_whose_kernels_failed() -> None:
    gpu.enable()
    use = KernelUse(wanted=True, group=OneWithout(0, 2))
    assert use.metrics() == {"gpu_kernels": 0}
    assert use.warnings()[0].startswith("the GPU kernels failed their self-test on another GPU")
    assert use.warnings() == ()

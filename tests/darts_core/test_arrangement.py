"""The log's line on how a search computes its cells."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu
from darts_core.training.arrangement import arrangement_of

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "computes cells fused"),
        ({"fused": False}, "computes operations one by one: the spec has fused: false"),
        (
            {"method": "gdas"},
            "computes operations one by one: gdas samples one operation an edge, and computes no other",
        ),
        ({"precision": "bf16"}, "computes operations one by one: fused cells need GPU kernels for bf16"),
    ],
)
def test_a_search_logs_once_how_it_computes_its_cells(
    values: dict[str, Any],
    line: str,
    search_config: Callable[..., SearchConfig],
    data_root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "darts_core")
    list(run_search(search_config(epochs=1, **values), data_root=data_root))
    assert [text for text in caplog.messages if text.startswith("computes ")] == [line]


def test_the_line_names_the_operations_that_the_fused_cell_lacks(search_config: Callable[..., SearchConfig]) -> None:
    config = search_config().model_copy(update={"primitives": ["skip_connect", "conv_7x1_1x7"]})
    assert arrangement_of(config, torch.device("cpu"), ALONE).not_fused == "the fused cell lacks conv_7x1_1x7"


def test_on_a_gpu_the_line_tells_of_the_cuda_graph(
    search_config: Callable[..., SearchConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "darts_core")
    for values in ({}, {"method": "drnas"}, {"cuda_graph": False}):
        arrangement_of(search_config(precision="float32", **values), GPU, ALONE).log(GPU)
    assert caplog.messages == [
        "computes cells fused, in a CUDA graph",
        "computes cells fused, without a CUDA graph: drnas draws random numbers in each step",
        "computes cells fused, without a CUDA graph: the spec has cuda_graph: false",
    ]


class OneWithout(Group):
    """Two GPUs, of which the other has no kernels."""

    def all_agree(self, answer: bool) -> bool:
        """No."""
        return False


def test_several_gpus_compute_as_one_does(
    search_config: Callable[..., SearchConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "darts_core")
    arrangement_of(search_config(precision="float32"), GPU, Group(0, 2)).log(GPU)
    assert caplog.messages == ["computes cells fused, in a CUDA graph"]


def test_in_bf16_no_gpu_of_several_computes_fused_if_one_has_no_kernels(
    search_config: Callable[..., SearchConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "available", lambda: True)
    config = search_config(precision="bf16")
    assert arrangement_of(config, GPU, ALONE).fused
    assert not arrangement_of(config, GPU, OneWithout(0, 2)).fused

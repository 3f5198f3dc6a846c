"""Measures how long operations and networks take on a device, and keeps the figures by device.

A file for each device, version of torch and number of threads lies in the user's cache folder
(`$XDG_CACHE_HOME/dartboard/latency`), so that a run measures only the operations that no earlier one has met.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from darts_core.genotypes import ConvolutionalGenotype, NasBench201Genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.nasbench201_network import NasBench201Network
from darts_core.models.operations import operation
from darts_core.profile.operation_costs import OperationCosts, Place, split_costs
from darts_core.profile.shapes import Shape

_WARM_UP: Final = 3
_LEAST_RUNS: Final = 15
_LEAST_SECONDS: Final = 0.03


def latency_costs(
    primitives: Sequence[str], nodes: int, shape: Shape, device: torch.device, space: str | None = None
) -> OperationCosts:
    """Milliseconds of each operation on each edge in an evaluation network of this shape, for one image.

    Operations are timed one by one in evaluation mode; the rest of the network is the time of one whole network less
    that of its operations.
    """
    with LatencyTable.of(device).kept() as table:
        return split_costs(
            lambda genotype: network_latency(genotype, shape, device), table.latency, primitives, nodes, shape, space
        )


def network_latency(genotype: ConvolutionalGenotype, shape: Shape, device: torch.device) -> float:
    """The least milliseconds of a forward pass of one image in evaluation mode."""
    sizes: dict[str, Any] = {
        "channels": shape.channels,
        "layers": shape.layers,
        "classes": shape.classes,
        "image_channels": shape.image_channels,
    }
    own: dict[str, Any] = {"stem": shape.stem, "reductions": shape.reductions, "edge_skips": shape.edge_skips}
    network = (
        NasBench201Network(genotype, **sizes)
        if isinstance(genotype, NasBench201Genotype)
        else EvaluationNetwork(genotype, **sizes, **own)
    )
    images = (shape.image_channels, shape.image, shape.width or shape.image)
    return _milliseconds(network, images, device)


class LatencyTable:
    """Milliseconds by operation, shape and stride on one device."""

    def __init__(self, device: torch.device, path: Path) -> None:
        """path: of the file that keeps the table; it need not exist."""
        self._device, self.path = device, path
        self._held = _read(path)
        self._new: dict[str, float] = {}

    @classmethod
    def of(cls, device: torch.device) -> LatencyTable:
        """The table of a device."""
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        return cls(device, cache / "dartboard" / "latency" / f"{_named(device)}.json")

    def latency(self, place: Place) -> float:
        """The least milliseconds of one operation in evaluation mode; measured once."""
        name, seen, stride = place
        key = f"{name} {seen.channels}x{seen.height}x{seen.width} stride {stride}"
        if key not in self._held:
            shape = (seen.channels, seen.height, seen.width)
            module = operation(name, seen.channels, stride, search=False)
            self._held[key] = self._new[key] = _milliseconds(module, shape, self._device)
        return self._held[key]

    @contextmanager
    def kept(self) -> Iterator[LatencyTable]:
        """Write the newly measured figures into the file at the end. A file that cannot be written is left alone."""
        yield self
        if not self._new:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({**self._new, **_read(self.path)}, indent=1, sort_keys=True)
            partial = self.path.with_suffix(f".{os.getpid()}")
            partial.write_text(text)
            partial.replace(self.path)
        except OSError:  # of use to later runs only
            return


def _read(path: Path) -> dict[str, float]:
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(key): float(value) for key, value in held.items()} if isinstance(held, dict) else {}


@torch.no_grad()
def _milliseconds(module: nn.Module, shape: tuple[int, int, int], device: torch.device) -> float:
    module = module.to(device).eval()
    image = torch.zeros(1, *shape, device=device)
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in range(_WARM_UP):
        module(image)
    wait()
    taken: list[float] = []
    while len(taken) < _LEAST_RUNS or sum(taken) < _LEAST_SECONDS:
        began = time.perf_counter()
        module(image)
        wait()
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)  # what other processes take only adds to it


def _named(device: torch.device) -> str:
    """A file's name for the device as it computes."""
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{_processor()} {torch.get_num_threads()}"
    return re.sub(r"[^a-z0-9.]+", "-", f"{model} torch {torch.__version__}".lower()).strip("-")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.machine()

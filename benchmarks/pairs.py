"""Compares two versions of a step in one run, for every `dartboard bench ...-step`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from benchmarks.machine import Machine, dispatched_operations
from darts_core.kernels import gpu, loader
from darts_core.training.step_graph import WARM_UP

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Version = Literal["plain", "fused", "graphed"]
VERSIONS: Final[tuple[Version, ...]] = ("plain", "fused")
ON_GPUS: Final[tuple[Version, ...]] = (*VERSIONS, "graphed")


class Run(Protocol):
    """A resumable sequence of steps."""

    def step(self) -> Tensor | float | None:
        """Take a step; returns its loss in nats, at least for the first step, perhaps not computed yet."""


Shape = TypeVar("Shape", bound="DataclassInstance")
Maker = Callable[[Shape, Version], Run]


def compare(
    make: Maker[Shape],
    shape: Shape,
    *,
    module: str,
    flops: int,
    pairs: int,
    versions: Sequence[Version],
    say: Callable[[str], None],
    machine: Machine = Machine(),  # noqa: B008 - it never changes
) -> dict[str, Any]:
    """Medians of alternating steps; peak memory of each version in a separate process; losses from equal weights.

    module: the one whose `tell_memory` runs in that process. flops: of one step, for both versions. gemm_share: a
    step's speed relative to a large matrix product in the same run.
    """
    # First, while this process is still small: together they might not fit.
    memory = {version: _memory(module, shape, version) for version in versions}
    runs = {version: make(shape, version) for version in versions}
    losses = {version: float(run.step() or 0.0) for version, run in runs.items()}  # includes the slow first step
    if machine.device == "cuda":
        for run in runs.values():
            _seconds(run, WARM_UP + 1, machine)
    seconds: dict[str, list[float]] = {version: [] for version in versions}
    speeds = [machine.product_speed()]
    for pair in range(pairs):
        for version, run in runs.items():
            seconds[version].append(_seconds(run, machine.steps, machine) / machine.steps)
        speeds.append(machine.product_speed())
        say(f"pair {pair + 1}/{pairs}: " + ", ".join(f"{v} {seconds[v][-1]:.4f} s" for v in versions))
    operations = {version: dispatched_operations(run.step) for version, run in runs.items()}

    speed = median(speeds)
    result: dict[str, Any] = {
        "shape": asdict(shape),
        "threads": torch.get_num_threads(),
        "kernels": loader.available() if machine.device == "cpu" else gpu.available(),
        "gemm_gflops": speed / 1e9,
        "step_gflop": flops / 1e9,
        "seconds": seconds,
    }
    for version in versions:
        middle = median(seconds[version])
        result |= {
            f"{version}_seconds": middle,
            f"{version}_memory": memory[version],
            f"{version}_ops": operations[version],
            f"{version}_loss": losses[version],
            f"{version}_gemm_share": flops / middle / speed,
        }
    if set(versions) >= set(VERSIONS):
        ratios = [plain / fused for plain, fused in zip(seconds["plain"], seconds["fused"], strict=True)]
        result |= {
            "speedup": median(ratios),
            # A tiny network may fit into what the process has freed before.
            "memory_ratio": memory["fused"] / max(memory["plain"], 1),
            "ops_ratio": operations["fused"] / operations["plain"],
            "gemm_share": result["fused_gemm_share"],
            "loss_difference": abs(losses["fused"] - losses["plain"]),
        }
    if {"plain", "graphed"} <= set(versions):
        ratios = [plain / graphed for plain, graphed in zip(seconds["plain"], seconds["graphed"], strict=True)]
        result |= {"graphed_speedup": median(ratios)}
    return result


def _seconds(run: Run, steps: int, machine: Machine) -> float:
    """Seconds for so many steps, until the last is done."""
    machine.wait()
    start = time.perf_counter()
    for _ in range(steps):
        run.step()
    machine.wait()
    return time.perf_counter() - start


def _memory(module: str, shape: DataclassInstance, version: Version) -> int:
    """Peak bytes of the network and its steps, in a separate process: resident memory, or GPU memory allocated by
    torch.
    """
    command = [sys.executable, "-m", module, version, json.dumps(asdict(shape))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


def tell_memory(
    make: Maker[Shape], of: type[Shape], machine: Callable[[Shape], Machine] | None = None, **small: int
) -> None:
    """The program of that process: takes version and shape as arguments and prints the number as its last line."""
    [version] = [v for v in ON_GPUS if v == sys.argv[1]]
    shape = of(**json.loads(sys.argv[2]))
    # Warm up: torch's one-time allocations do not belong to the network.
    make(replace(shape, **small), version).step()
    peak = (Machine() if machine is None else machine(shape)).peak()
    run = make(shape, version)
    for _ in range(2 if version != "graphed" else WARM_UP + 2):
        run.step()
    sys.stdout.write(f"{peak.bytes()}\n")

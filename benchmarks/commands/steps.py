"""Runs and prints a comparison of two versions of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def show_steps(
    measure: Callable[..., dict[str, Any]],
    shape: object,
    *,
    pairs: int,
    plain: bool,
    fused: bool,
    json: bool,
    device: str = "cpu",
    graphed: bool = False,
) -> None:
    """Measure all versions of a step, or the named one, and print them. graphed: include the CUDA graph.

    Raises BadParameter when there is no such device.
    """
    import torch

    from benchmarks.pairs import ON_GPUS, VERSIONS
    from client.output import console, print_json, remarks

    if device == "cuda" and not torch.cuda.is_available():
        raise typer.BadParameter("torch finds no CUDA device here: use cpu", param_hint="--device")
    there = ON_GPUS if graphed else VERSIONS
    versions = [v for v in there if (plain if v == "plain" else fused)] or there
    result = measure(shape, pairs=pairs, versions=versions, say=remarks.print)
    if json:
        print_json(result)
        return
    for version in versions:
        words = result.get(f"{version}_tokens_per_second")
        console.print(
            f"{version}: {result[f'{version}_seconds']:.4f} s a step, "
            + (f"{words:,.0f} words/s, " if words is not None else "")
            + f"{result[f'{version}_memory'] / 2**20:,.0f} MiB, {result[f'{version}_ops']:,} operations, "
            f"{result[f'{version}_gemm_share']:.0%} of the matrix-product speed, "
            f"loss {result[f'{version}_loss']:.6f}",
        )
    if "speedup" in result:
        console.print(
            f"{result['speedup']:.2f} times as fast, {result['memory_ratio']:.2f} of the memory, "
            f"{result['ops_ratio']:.2f} of the operations"
        )
    if "graphed_speedup" in result:
        console.print(f"as a graph {result['graphed_speedup']:.2f} times as fast")

"""`dartboard bench gpu-kernels`: what the GPU kernels take of a GPU that need not be there."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from client.options import Json


def gpu_kernels(
    family: Annotated[Literal["cnn", "rnn"], typer.Option(help="Kernels of convolutional or recurrent cells.")] = "cnn",
    channels: Annotated[
        list[int] | None,
        typer.Option(min=4, help="Channels of the first cells, by default 16 and 36; may be repeated."),
    ] = None,
    columns: Annotated[
        list[int] | None,
        typer.Option(min=2, help="Columns of the text, by default 10, 256 and 1024; may be repeated."),
    ] = None,
    capability: Annotated[
        list[int] | None,
        typer.Option(min=70, help="80 for sm_80, 90 for sm_90; both by default; may be repeated."),
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="float32, tf32 or bf16; all by default; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Compile the kernels of the search step; print their registers, stack and shared memory. Needs no GPU."""
    from benchmarks.gpu_kernels import PRECISIONS, recurrent_usages, summarised, usages
    from client.output import console, print_json, remarks

    for unknown in set(precision or ()) - set(PRECISIONS):
        raise typer.BadParameter(f"{unknown!r} is none of {', '.join(PRECISIONS)}")
    found, capability = [], capability or [80, 90]
    if family == "cnn":
        each = usages(channels or [16, 36], capability, precision or PRECISIONS)
    else:
        each = recurrent_usages(columns or [10, 256, 1024], capability)
    for usage in each:
        found.append(usage)
        remarks.print(f"sm_{usage.capability} {usage.precision} {usage.kernel}: {usage.registers} registers")
    rows = summarised(found)
    if json:
        print_json(rows)
        return
    console.print("| kernel | channels | GPU | variants | warps | registers | stack | in loops | shared memory |")
    console.print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        least, most = row["registers"]
        registers = str(most) if least == most else f"{least} to {most}"
        cells = (f"`{row['kernel']}`", row["channels"] or "", f"sm_{row['capability']}", row["variants"], row["warps"])
        console.print(f"| {' | '.join(map(str, (*cells, registers, row['stack'], row['looped'], row['shared'])))} |")

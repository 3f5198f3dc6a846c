"""`dartboard bench decode`: images a second of each decoder."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json


def decode(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, in which all variants take turns.")] = 5,
    batch: Annotated[int, typer.Option(min=2, help="Images in a batch, of 16 photographs.")] = 16,
    step_batch: Annotated[int, typer.Option(min=2, help="Images in the training step, at most those of a batch.")] = 4,
    json: Json = False,
) -> None:
    """Compare the decoders of image files with each other and with what a training step takes. Needs no service."""
    import tempfile
    from pathlib import Path

    from benchmarks.decode import measure
    from client.output import console, print_json, remarks

    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), rounds=rounds, batch=batch, step_batch=min(step_batch, batch), say=remarks.print)
    if json:
        print_json(result)
        return
    needed = result["step"]
    console.print(f"a step of the preset imagenet takes {_rates(needed)} images/s on {result['device']}")
    for row in result["decoders"]:
        times = row["median"] / needed["median"]
        name, processor = f"{row['images']}, {row['decoder']}, {row['by']}", f"{row['processor_ms']:.2f} ms each"
        console.print(f"{name}: {_rates(row)} images/s, {processor}; {times:.0f} times what the step takes")


def _rates(found: dict[str, float]) -> str:
    median, least, most = (
        f"{x:,.0f}" if (x := found[name]) >= 10 else f"{x:.2f}" for name in ("median", "least", "most")
    )
    return f"{median} ({least} to {most})"

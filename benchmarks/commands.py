"""`dartboard bench ...`: benchmarks, each against a baseline in the same run."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from client.options import DEFAULT_URL, Json, Key, Url


class RnnNetwork(StrEnum):
    """Networks of `rnn-step`."""

    SEARCH = "search"
    RETRAIN = "retrain"


app = typer.Typer(help="Benchmarks; every figure is a ratio to a baseline in the same run.", no_args_is_help=True)


@app.command()
def overhead(
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs of runs.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Counted epochs of each run.")] = 2,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the first cells.")] = 8,
    layers: Annotated[int, typer.Option(min=1, help="Cells; raise it until an epoch takes 20 s or more.")] = 6,
    side_by_side: Annotated[
        bool | None,
        typer.Option(
            "--side-by-side/--in-turn",
            help="Both runs at once on one core each (default without a GPU and with several cores), or in turn.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The service's data; a temporary folder by default.")] = None,
    json: Json = False,
) -> None:
    """Compare the wall time of an epoch through the service with the same epoch of `dartboard run`."""
    from benchmarks.overhead import can_run_side_by_side, measure
    from client.output import console, print_json, remarks

    if side_by_side is None:
        side_by_side = can_run_side_by_side()
    elif side_by_side and not can_run_side_by_side():
        raise typer.BadParameter("side by side needs Linux, two cores and no GPU to share: use --in-turn")
    result = measure(
        {"dataset": "digits", "channels": channels, "layers": layers},
        pairs=pairs,
        epochs=epochs,
        arrangement="side-by-side" if side_by_side else "in-turn",
        data=data,
        say=remarks.print,
    )
    if json:
        print_json(result)
        return
    for name, value in result.items():
        console.print(f"{name}: {value}")


@app.command("random-cells")
def random_cells(
    dataset: Annotated[str, typer.Argument(help="Data set.")],
    search: Annotated[str, typer.Option(help="The search's other fields as JSON.")] = "{}",
    evaluation: Annotated[str, typer.Option(help="The retrainings' other fields as JSON.")] = "{}",
    seeds: Annotated[
        int, typer.Option(min=2, help="Number of retrainings of the found cell, and of random cells.")
    ] = 3,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Compare a searched cell with random ones, retrained alike, through a running service."""
    from benchmarks.random_cells import compare
    from client.json_input import parse_object
    from client.output import console, print_json, remarks
    from client.sdk import Dartboard

    texts = {"--search": search, "--evaluation": evaluation}
    specs = [{"dataset": dataset, **parse_object(text, hint)} for hint, text in texts.items()]
    with Dartboard(url, key) as dartboard:
        result = compare(dartboard, specs[0], specs[1], seeds=range(seeds), say=remarks.print)
    if json:
        print_json(result)
        return
    for name in ("found", "random"):
        console.print(f"{name}: {result[name]['mean']:.2f} +- {result[name]['deviation']:.2f} %")


@app.command()
def second_order_error(
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches.")] = 3,
    steps: Annotated[int, typer.Option(min=0, help="Search steps before the second measurement.")] = 20,
    channels: Annotated[int, typer.Option(min=2, help="Channels of the first cells.")] = 8,
    layers: Annotated[int, typer.Option(min=3, help="Cells.")] = 5,
    image: Annotated[int, typer.Option(min=8, help="Side in pixels; a multiple of 8.")] = 16,
    batch_size: Annotated[int, typer.Option(min=2, help="Images in a step.")] = 16,
    json: Json = False,
) -> None:
    """Compare the second-order alpha gradient's finite difference with the exact derivative. Needs no service."""
    from benchmarks.second_order_error import measure
    from client.output import console, print_json, remarks

    sizes = {"channels": channels, "layers": layers, "image": image, "batch_size": batch_size}
    result = measure(seeds=seeds, steps=steps, **sizes, data_root=Path(".dartboard/datasets"), say=remarks.print)
    if json:
        print_json(result)
        return
    for row in result["mean"]:
        console.print(
            f"after {row['steps']} steps, {'kinks' if row['kinks'] else 'smooth'}, {row['precision']}, "
            f"{row['numerator']:.0e}/||v||: product {row['implicit']:.1e}, alpha gradient {row['gradient']:.1e}, "
            f"cosine {row['cosine']:.4f}",
        )


@app.command("language-models")
def language_models(
    dataset: Annotated[str, typer.Argument(help="Text.")] = "python-docs",
    search: Annotated[str, typer.Option(help="The search's other fields as JSON.")] = "{}",
    evaluation: Annotated[str, typer.Option(help="The trainings' other fields as JSON; also for the LSTM.")] = "{}",
    genotype: Annotated[str | None, typer.Option(help="Train this cell without a search.")] = None,
    rate: Annotated[
        list[float] | None, typer.Option(min=1e-6, max=1000, help="A learning rate to try; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Number of trainings of the cell and of the LSTM.")] = 3,
    data_root: Annotated[Path, typer.Option(help="Folder of the texts.")] = Path(".dartboard/datasets"),
    json: Json = False,
) -> None:
    """Compare a searched recurrent cell with an LSTM of equal size and a bigram model. Needs no service."""
    from pydantic import ValidationError

    from benchmarks.language_models import RATES, compare, searched
    from client.failures import fields as told
    from client.json_input import parse_object
    from client.output import console, print_error, print_json, remarks
    from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
    from darts_core.errors import DartsError

    model: type[RnnSearchConfig | RnnEvaluationConfig] = RnnSearchConfig
    try:
        search_spec = RnnSearchConfig(**{"dataset": dataset, **parse_object(search, "--search")}).resolved()
        fields = {"dataset": dataset, "genotype": genotype or "DARTS_V2", **parse_object(evaluation, "--evaluation")}
        # Before the search, so that a mistake shows at once.
        model = RnnEvaluationConfig
        spec = RnnEvaluationConfig(**fields).resolved()
    except ValidationError as error:
        hint = "--search" if model is RnnSearchConfig else "--evaluation"
        raise typer.BadParameter(told(error, model), param_hint=hint) from None
    try:
        result = {}
        if genotype is None:
            result["search"] = searched(search_spec, data_root=data_root, say=remarks.print)
            spec = RnnEvaluationConfig(**{**fields, "genotype": result["search"]["genotype"]}).resolved()
        result |= compare(spec, rates=rate or RATES, seeds=range(seeds), data_root=data_root, say=remarks.print)
    except DartsError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    if json:
        print_json(result)
        return
    for name in ("cell", "lstm"):
        row = result[name]
        console.print(f"{name}: {row['parameters']:,} parameters, {row['mean']:.2f} +- {row['deviation']:.2f}")
    console.print(f"bigram: {result['bigram']['test_perplexity']:.2f}")


@app.command()
def chaos(
    minutes: Annotated[float, typer.Option(min=0, help="Repeat for this long; at least once.")] = 0.0,
    searches: Annotated[int, typer.Option(min=1, help="Number of concurrent searches.")] = 12,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each search.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the service.")] = 2,
    shortest: Annotated[float, typer.Option(min=0, help="Minimum seconds between two faults.")] = 2.0,
    longest: Annotated[float, typer.Option(min=0, help="Maximum seconds between two faults.")] = 6.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the faults; by default drawn and printed.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The service's data, kept with its logs; a temporary folder by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Kill, suspend, fill disks, step clocks and damage files during searches. Exit code 1 after any loss.

    Starts its own service. Full disks need root, clock steps the library faketime; unsupported faults are left out and
    listed.
    """
    import secrets

    from benchmarks.chaos import end_as_ctrl_c_does, run
    from client.output import console, print_json, remarks

    end_as_ctrl_c_does()
    if shortest > longest:
        raise typer.BadParameter(f"--shortest {shortest:g} is longer than --longest {longest:g}")
    outcome = run(
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        searches=searches,
        epochs=epochs,
        workers=workers,
        minutes=minutes,
        shortest=shortest,
        longest=longest,
        data=data,
        say=remarks.print,
    )
    if json:
        print_json(outcome.as_json())
    else:
        for name, value in outcome.as_json().items():
            console.print(f"{name}: {value}")
    if not outcome.nothing_lost:
        raise typer.Exit(1)


@app.command()
def study(
    seeds: Annotated[int, typer.Option(min=1, help="Searches of the study.")] = 4,
    search_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each search.")] = 2,
    short_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each short retraining.")] = 3,
    final_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each final run.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the service.")] = 2,
    json: Json = False,
) -> None:
    """Run a study twice, the second time with API, worker and broker killed, and compare. Exit code 1 on a difference.

    Starts its own service.
    """
    from benchmarks.killed_study import run
    from client.output import console, print_json, remarks

    outcome = run(
        seeds=seeds,
        search_epochs=search_epochs,
        short_epochs=short_epochs,
        final_epochs=final_epochs,
        workers=workers,
        say=remarks.print,
    )
    if json:
        print_json(outcome.as_json())
    else:
        for row in outcome.numbers["candidates"]:
            console.print(f"seed {row['seed']}: validation accuracy {row['validation_accuracy']:.2f} %")
        console.print(outcome.numbers["chosen"]["why"])
        final = outcome.numbers["final"]
        console.print(f"test accuracy {final['mean']:.2f} %, deviation {final['std']:.2f} over {final['n']} runs")
        seconds = f"undisturbed {outcome.undisturbed_seconds} s, killed {outcome.killed_seconds} s"
        console.print(f"{seconds}; the same numbers: {outcome.same}")
    if not outcome.same:
        raise typer.Exit(1)


@app.command()
def fleet(
    jobs: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of queued jobs, and of ended ones; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers; their jobs sleep.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds with each number of jobs.")] = 60.0,
    job_seconds: Annotated[float, typer.Option(min=0, help="Mean duration of a job, varied by a half.")] = 20.0,
    data: Annotated[Path | None, typer.Option(help="The services' data, kept; temporary folders by default.")] = None,
    json: Json = False,
) -> None:
    """Measure claims, lists and passes over growing numbers of jobs. Exit code 1 if a lease expired.

    Starts its own services. The defaults take about ten minutes.
    """
    from benchmarks.fleet import growth, measure
    from client.output import print_json, print_listing, remarks
    from client.tables import Listing

    counts = sorted(set(jobs or (100, 1000, 10_000, 100_000)))
    rows = measure(jobs=counts, workers=workers, seconds=seconds, job_seconds=job_seconds, data=data, say=remarks.print)
    grown = growth(rows)
    if json:
        print_json({"rows": rows, "growth": grown})
    else:
        listing = Listing("median / p99, ms", *(f"{count:,}" for count in counts), "growth")
        for name, factor in grown.items():
            cells = [f"{row['times'][name]['median_ms']} / {row['times'][name]['p99_ms']}" for row in rows]
            listing.add(name, *cells, f"{factor:.2f}")
        for name in (name for name in rows[0] if name not in ("jobs", "workers", "times")):
            listing.add(name, *(str(row[name]) for row in rows), "")
        print_listing(listing)
    if lost := sum(row["lost"] for row in rows):
        remarks.print(f"{lost} leases ran out, which none may: the API could not keep up with {workers} workers")
        raise typer.Exit(1)


@app.command("rnn-step")
def rnn_step(
    network: Annotated[RnnNetwork, typer.Option(help="A search's network, or a retrained cell's.")] = (
        RnnNetwork.SEARCH
    ),
    batch: Annotated[
        int | None, typer.Option(min=2, help="Columns; by default 256 for a search, 64 for a retraining.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Size of the state; 300 or 850 by default.")] = None,
    bptt: Annotated[int, typer.Option(min=1, help="Words in a column's window.")] = 35,
    words: Annotated[int, typer.Option(min=2, help="Words in the vocabulary.")] = 10_000,
    order: Annotated[int, typer.Option(min=0, max=2, help="Order of a search's alpha gradient; 0: weights alone.")] = 1,
    genotype: Annotated[str, typer.Option(help="Known cell to retrain.")] = "DARTS_V2",
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs of steps.")] = 5,
    plain: Annotated[bool, typer.Option("--plain", help="Measure only the plain version.")] = False,
    fused: Annotated[bool, typer.Option("--fused", help="Measure only the fast version.")] = False,
    json: Json = False,
) -> None:
    """Compare the fast training step of recurrent cells with the plain loop. Needs no service."""
    from benchmarks.rnn_step import Shape, measure
    from darts_core.genotypes import KNOWN_RECURRENT

    if genotype not in KNOWN_RECURRENT:
        raise typer.BadParameter(f"{genotype!r} is not a known recurrent cell: {', '.join(KNOWN_RECURRENT)}")
    searching = network is RnnNetwork.SEARCH
    shape = Shape(
        network=network.value,
        batch=batch or (256 if searching else 64),
        size=size or (300 if searching else 850),
        bptt=bptt,
        words=words,
        order=order if searching else 0,  # type: ignore[arg-type]
        genotype=genotype,
    )
    _steps(measure, shape, pairs=pairs, plain=plain, fused=fused, json=json)


@app.command("search-step")
def search_step(
    batch: Annotated[int, typer.Option(min=2, help="Images in a step.")] = 64,
    channels: Annotated[int, typer.Option(min=2, help="Channels of the first cells; an even number.")] = 16,
    layers: Annotated[int, typer.Option(min=3, help="Cells.")] = 8,
    order: Annotated[int, typer.Option(min=1, max=2, help="Order of the alpha gradient.")] = 1,
    image: Annotated[int, typer.Option(min=4, help="Side of the images, in pixels.")] = 32,
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs of steps.")] = 3,
    plain: Annotated[bool, typer.Option("--plain", help="Measure only the plain version.")] = False,
    fused: Annotated[bool, typer.Option("--fused", help="Measure only the fused version.")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Plain version with channels last and dilated convolutions in phases.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="cpu, or cuda, where the fused version is also timed as a graph.")
    ] = "cpu",
    precision: Annotated[str, typer.Option(help="float32, tf32 (products on a GPU) or bf16.")] = "float32",
    json: Json = False,
) -> None:
    """Compare the fused search step of convolutional cells with the plain one. Needs no service."""
    from benchmarks.search_step import Shape, measure

    if channels % 2:
        raise typer.BadParameter(f"{channels} channels cannot be halved: give an even number")
    if device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"{device!r} is neither cpu nor cuda")
    if precision not in ("float32", "tf32", "bf16"):
        raise typer.BadParameter(f"{precision!r} is none of float32, tf32, bf16")
    shape = Shape(batch, channels, layers, order, image, tuned, device, precision)  # type: ignore[arg-type]
    _steps(measure, shape, pairs=pairs, plain=plain, fused=fused, json=json, graphed=device == "cuda")


@app.command("evaluation-step")
def evaluation_step(
    batch: Annotated[int, typer.Option(min=2, help="Images in a step.")] = 64,
    channels: Annotated[int, typer.Option(min=2, help="Channels of the first cells; an even number.")] = 16,
    layers: Annotated[int, typer.Option(min=3, help="Cells.")] = 8,
    image: Annotated[int, typer.Option(min=4, help="Side of the images, in pixels.")] = 32,
    genotype: Annotated[str, typer.Option(help="Name of a known cell.")] = "DARTS_V2",
    auxiliary: Annotated[bool, typer.Option(help="With the auxiliary head.")] = True,
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs of steps.")] = 5,
    plain: Annotated[bool, typer.Option("--plain", help="Measure only the plain version.")] = False,
    fused: Annotated[bool, typer.Option("--fused", help="Measure only the fast version.")] = False,
    json: Json = False,
) -> None:
    """Compare the fast retraining step with the plain loop. Needs no service."""
    from benchmarks.evaluation_step import Shape, measure
    from darts_core.models.layout import least_auxiliary_image

    if channels % 2:
        raise typer.BadParameter(f"{channels} channels cannot be halved: give an even number")
    if auxiliary and image < least_auxiliary_image("cifar"):
        raise typer.BadParameter(f"{image} pixels are too few for the auxiliary head: give more, or --no-auxiliary")
    shape = Shape(batch, channels, layers, image, genotype, auxiliary)
    _steps(measure, shape, pairs=pairs, plain=plain, fused=fused, json=json)


def _steps(
    measure: Callable[..., dict[str, Any]],
    shape: object,
    *,
    pairs: int,
    plain: bool,
    fused: bool,
    json: bool,
    graphed: bool = False,
) -> None:
    """Measure all versions of a step, or the named one, and print them. graphed: include the CUDA graph."""
    from benchmarks.pairs import ON_GPUS, VERSIONS
    from client.output import console, print_json, remarks

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


@app.command()
def watchers(
    streams: Annotated[int, typer.Option(min=1, help="Event streams of one job, all open at the same time.")] = 1000,
    events: Annotated[int, typer.Option(min=1, help="Number of reported epochs.")] = 20,
    pause: Annotated[float, typer.Option(min=0, help="Seconds before each.")] = 1.0,
    data: Annotated[Path | None, typer.Option(help="The service's data; a temporary folder by default.")] = None,
    json: Json = False,
) -> None:
    """Measure the delay of a new event to all streams of one API process. Starts its own service."""
    from benchmarks.watchers import measure
    from client.output import console, print_json, remarks

    result = measure(streams=streams, events=events, pause=pause, data=data, say=remarks.print)
    if json:
        print_json(result)
        return
    for name, value in result.items():
        console.print(f"{name}: {value}")


@app.command("worst-bodies")
def worst_bodies(
    routes: Annotated[str, typer.Option(help="Only routes whose paths contain this.")] = "",
    data: Annotated[Path | None, typer.Option(help="The service's data; a temporary folder by default.")] = None,
    json: Json = False,
) -> None:
    """Send the worst bodies that the API's schemas allow to every route; print answer, time, memory and the longest
    answer of `/readyz` meanwhile (target: at most 0.25 s). Starts its own service.
    """
    from benchmarks.worst_bodies import measure, worst_of_each_route
    from client.output import console, print_json, remarks

    costs = measure(data=data, routes=routes, say=remarks.print)
    if json:
        print_json(costs)
        return
    console.print("route | bytes | answer | seconds | memory, MiB | /readyz, s | body")
    for cost in worst_of_each_route(costs):
        console.print(
            f"{cost['route']} | {cost['sent']:,} | {cost['status']}, {cost['answer']:,} bytes | "
            f"{cost['seconds']:.3f} | {cost['memory'] / 2**20:.0f} | {cost['readyz']:.3f} | {cost['what']}"
        )

"""`dartboard search`, `evaluate` and `score`: queue a job and watch it by default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Set, Url, fields
from client.submit import submit_and_watch

Family = Annotated[Literal["cnn", "rnn"] | None, typer.Option(help="Family of the cell; cnn by default.")]
Dataset = Annotated[str | None, typer.Option(help="One of `dartboard datasets`, or folder:NAME.")]
Preset = Annotated[str | None, typer.Option(help="Preset of unset values.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs; the preset's by default.")]
BatchSize = Annotated[int | None, typer.Option(help="Images, or columns of words, in a step.")]
Channels = Annotated[int | None, typer.Option(help="Channels of the first cells.")]
Layers = Annotated[int | None, typer.Option(help="Number of cells.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all random draws.")]
Name = Annotated[str | None, typer.Option(help="Name of the job.")]
Priority = Annotated[
    int | None, typer.Option(help="Priority from 0 to 9; 9 is urgent and takes the slot of a running job below it.")
]
Preemptible = Annotated[
    bool | None,
    typer.Option("--preemptible/--not-preemptible", help="Whether an urgent job may take this one's slot; it may."),
]
InitFrom = Annotated[
    str | None,
    typer.Option(metavar="JOB[@EPOCH]", help="Job whose state it starts from: its last epoch, an evaluation's best."),
]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Queue the job and print its id.")]


def search(
    dataset: Annotated[
        str | None,
        typer.Option(help="One of `dartboard datasets`, or folder:NAME; digits by default, python-docs for rnn."),
    ] = None,
    family: Family = None,
    preset: Preset = None,
    space: Annotated[str | None, typer.Option(help="One of `dartboard spaces`; darts, or rnn, by default.")] = None,
    method: Annotated[str | None, typer.Option(help="One of `dartboard methods`; darts by default.")] = None,
    order: Annotated[int | None, typer.Option(help="1, or 2 for the unrolled gradient.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    channels: Channels = None,
    layers: Layers = None,
    nodes: Annotated[int | None, typer.Option(help="Intermediate nodes of a cell.")] = None,
    seed: Seed = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    select: Annotated[
        Literal["perturbation"] | None, typer.Option(help="Select a cell of the supernet of --search-id.")
    ] = None,
    search_id: Annotated[str | None, typer.Option(help="A search that succeeded, for --select.")] = None,
    init_from: InitFrom = None,
    init_what: Annotated[
        Literal["weights", "alphas", "all"] | None, typer.Option(help="What of --init-from; all by default.")
    ] = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Search for a cell, or select one of an earlier search's supernet."""
    from darts_core.families import family_in

    if (select is None) != (search_id is None):
        raise typer.BadParameter("--select and --search-id go together", param_hint="--select")
    body = fields(
        set_,
        select=select,
        search_id=search_id and _search(search_id, url, key),
        init_from=_start(init_from, init_what, url, key),
        family=family,
        dataset=dataset or (family_in({"family": family}).example if select is None else None),
        preset=preset,
        space=space,
        method=method,
        order=order,
        epochs=epochs,
        batch_size=batch_size,
        channels=channels,
        layers=layers,
        nodes=nodes,
        seed=seed,
        name=name,
        priority=priority,
        preemptible=preemptible,
    )
    submit_and_watch("search", body, url, key, detach=detach, json=json)


def evaluate(
    source: Annotated[str, typer.Argument(help="A search's id, a genotype's name or text, or a file with one.")],
    dataset: Dataset = None,
    family: Family = None,
    preset: Preset = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    channels: Channels = None,
    layers: Layers = None,
    seed: Seed = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    init_from: InitFrom = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Retrain a cell from scratch: a search's, or a genotype of your own."""
    body = fields(
        set_,
        **_source(source, family, url, key),
        family=family,
        dataset=dataset,
        preset=preset,
        epochs=epochs,
        batch_size=batch_size,
        channels=channels,
        layers=layers,
        seed=seed,
        name=name,
        priority=priority,
        preemptible=preemptible,
        init_from=_start(init_from, None, url, key),
    )
    submit_and_watch("evaluation", body, url, key, detach=detach, json=json)


def score(
    source: Annotated[str, typer.Argument(help="Id of an evaluation, a search or a checkpoint, or a file to upload.")],
    dataset: Annotated[
        str | None, typer.Option(help="Data set whose test part is measured; by default the checkpoint's own.")
    ] = None,
    epoch: Annotated[
        str | None, typer.Option(help="Epoch of an evaluation or a search: best, last or a number.")
    ] = None,
    genotype: Annotated[
        str | None, typer.Option(help="Cell of a state_dict of the DARTS authors: a name, a file or a text.")
    ] = None,
    family: Annotated[
        Literal["cnn", "rnn"] | None,
        typer.Option(help="rnn for a language model's file, with the vocabulary of --dataset."),
    ] = None,
    batch_size: BatchSize = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Measure a checkpoint on a data set's test images or test text."""
    given = fields(
        set_,
        family=family,
        dataset=dataset,
        epoch=epoch,
        batch_size=batch_size,
        name=name,
        priority=priority,
        preemptible=preemptible,
    )
    text = dataset if family == "rnn" and genotype is not None else None
    submit_and_watch(
        "score", {**_scored(source, genotype, text, url, key), **given}, url, key, detach=detach, json=json
    )


def _scored(source: str, genotype: str | None, text: str | None, url: str, key: str | None) -> dict[str, str]:
    """The field of the measured checkpoint; a file is uploaded first."""
    from uuid import UUID

    from client.genotypes import genotype_text, id_of, uploaded
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        wanted = id_of(source)
        if wanted is None:
            cell = genotype and genotype_text(genotype)
            return {"checkpoint_id": uploaded(dartboard, source, cell, text)}
        if genotype is not None:
            raise typer.BadParameter("goes with a file only", param_hint="--genotype")
        job = dartboard.job_or_checkpoint(wanted)
        return {"checkpoint_id": str(job)} if isinstance(job, UUID) else {f"{job.kind}_id": str(job.id)}


def _search(beginning: str, url: str, key: str | None) -> str:
    """The id of a search. Raises typer.BadParameter for another job, ProblemError 404."""
    from client.genotypes import search_of
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        return str(search_of(dartboard, beginning).id)


def _start(job: str | None, what: str | None, url: str, key: str | None) -> dict[str, Any] | None:
    """The field `init_from`. Raises typer.BadParameter, ProblemError 404."""
    from client.sdk import Dartboard

    if job is None:
        if what is not None:
            raise typer.BadParameter("goes with --init-from", param_hint="--init-what")
        return None
    beginning, _, epoch = job.partition("@")
    if epoch and not epoch.isdigit():
        raise typer.BadParameter(f"{epoch!r} is not an epoch: give JOB@NUMBER, or JOB", param_hint="--init-from")
    with Dartboard(url, key) as dartboard:
        given = {"job": str(dartboard.full_id(beginning)), "epoch": int(epoch) if epoch else None, "what": what}
    return {name: value for name, value in given.items() if value is not None}


def _source(text: str, family: Literal["cnn", "rnn"] | None, url: str, key: str | None) -> dict[str, str]:
    """The field of the cell. Raises typer.BadParameter for a job that is not a search, ProblemError 404."""
    from client.genotypes import genotype_text, id_of, is_unknown_name, registered, search_of
    from client.sdk import Dartboard
    from darts_core.genotypes.random_cells import RANDOM

    beginning = id_of(text)
    genotype = genotype_text(text, "SOURCE") if beginning is None else ""
    with Dartboard(url, key) as dartboard:
        if beginning is not None:
            return {"search_id": str(search_of(dartboard, beginning).id)}
        if text != RANDOM and is_unknown_name(text, family):
            registered(dartboard, text, family)
    return {"genotype": genotype}

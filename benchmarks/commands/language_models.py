"""`dartboard bench language-models`: a recurrent cell against an LSTM and a bigram model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import Json


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

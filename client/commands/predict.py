"""`dartboard predict`: classifies image files with a checkpoint. Needs no service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.options import Json

if TYPE_CHECKING:
    from darts_core.scoring.predict import Prediction


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, downloaded or imported, or an ensemble's file.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to print for each image.")] = 5,
    json: Json = False,
) -> None:
    """Classify images, with probabilities. The checkpoint's own normalisation is applied."""
    from client.output import print_json, print_text
    from darts_core import load
    from darts_core.ensembles.models import ImageEnsemble
    from darts_core.errors import CheckpointError, DataError
    from darts_core.files.trained_network import TrainedNetwork

    for path in (checkpoint, *images):
        if not path.is_file():
            raise typer.BadParameter(
                f"there is no file {path}", param_hint="CHECKPOINT" if path is checkpoint else "IMAGE..."
            )
    try:
        network = load(checkpoint)
        if not isinstance(network, (TrainedNetwork, ImageEnsemble)):
            raise typer.BadParameter(f"{checkpoint} is a language model: it cannot classify images")
        found = network.predict(images)
    except (CheckpointError, DataError) as error:
        raise typer.BadParameter(str(error)) from error
    if json:
        print_json([_as_json(path, prediction) for path, prediction in zip(images, found, strict=True)])
        return
    for path, prediction in zip(images, found, strict=True):
        best = sorted(prediction.probabilities.items(), key=lambda entry: -entry[1])[:top]
        print_text(f"{path}: " + ", ".join(f"{name} {100 * probability:.2f} %" for name, probability in best))


def _as_json(path: Path, prediction: Prediction) -> dict[str, object]:
    return {
        "file": str(path),
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(prediction.probabilities),
    }

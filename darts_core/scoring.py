"""How good a checkpoint file is on the test images of the data set it was trained on.

As a program, in a process of its own: `python -m darts_core.scoring FILE [--data-root DIR]` prints one line of JSON,
`{"accuracy": percent, "loss": nats, "images": count, "dataset": name}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from darts_core.checkpoints import read
from darts_core.data import load as load_data
from darts_core.data.feeding import Normaliser
from darts_core.errors import CheckpointError, DartsError
from darts_core.loading import load
from darts_core.training.measuring import Measured, measure
from darts_core.training.run import DATA_ROOT, UNCONTROLLED, default_device


def score(path: str | Path, data_root: Path = DATA_ROOT, device: torch.device | None = None) -> Measured:
    """Loss in nats and accuracy in percent on the test split. Raises CheckpointError and DataError."""
    device = device or default_device()
    trained = load(path, device)
    spec = trained.checkpoint["spec"]
    data = load_data(spec["dataset"], data_root, spec.get("dataset_checksum"))
    if data.classes != trained.classes:
        raise CheckpointError(
            f"{path} was trained on the classes {', '.join(trained.classes)}; the data set now has "
            f"{', '.join(data.classes)}"
        )
    # Normalised as in training: the data may have been added to since.
    normalise = Normaliser(trained.normalisation["mean"], trained.normalisation["std"], device)
    return measure(trained, data.test_images.to(device), data.test_labels.to(device), normalise, control=UNCONTROLLED)


def main() -> int:
    """The program; 1 and a message when the file or the data cannot be used."""
    parser = argparse.ArgumentParser(description="Measure a checkpoint on its data set's test images.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--data-root", type=Path, default=DATA_ROOT)
    arguments = parser.parse_args()
    try:
        measured = score(arguments.file, arguments.data_root)
        dataset = read(arguments.file)["spec"]["dataset"]
    except (DartsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    result = {"accuracy": measured.accuracy, "loss": measured.loss, "images": measured.images, "dataset": dataset}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m darts_core.scoring FILE`: measure a checkpoint on its data set's test images or test text."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from darts_core.errors import DartsError
from darts_core.files.checkpoints import family_of, read
from darts_core.scoring.images import score
from darts_core.scoring.text import score_text
from darts_core.training.defaults import DATA_ROOT


def main() -> int:
    """Run the program; exits 1 with a message when the file or the data cannot be used."""
    parser = argparse.ArgumentParser(description="Measure a checkpoint on its data set's test images, or test text.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--data-root", type=Path, default=DATA_ROOT)
    arguments = parser.parse_args()
    try:
        result = _scored(arguments.file, arguments.data_root)
    except (DartsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _scored(file: Path, data_root: Path) -> dict[str, Any]:
    checkpoint = read(file)
    dataset = checkpoint["spec"]["dataset"]
    if family_of(checkpoint) == "rnn":
        text = score_text(file, data_root)
        return {"perplexity": text.perplexity, "loss": text.loss, "words": text.words, "dataset": dataset}
    measured = score(file, data_root)
    return {"accuracy": measured.accuracy, "loss": measured.loss, "images": measured.images, "dataset": dataset}


if __name__ == "__main__":
    sys.exit(main())

"""Exports a trained network: ONNX for inference, plain PyTorch to go on with, safetensors for the weights alone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from darts_core.errors import CheckpointError
from darts_core.files import safetensors

if TYPE_CHECKING:
    from darts_core.files.trained_network import TrainedNetwork

_OPSET = 18

Format = Literal["onnx", "safetensors", "pytorch"]
_ENDINGS: Final[dict[str, Format]] = {".onnx": "onnx", ".safetensors": "safetensors", ".py": "pytorch"}


def export(checkpoint: Path, to: Path, format_: Format | None = None, *, raw_images: bool = False) -> list[Path]:
    """Export a checkpoint file to `to`, in the format of its suffix: .onnx, .safetensors (needs no torch) or .py.

    format_: for a check of the suffix. raw_images: for ONNX, take uint8 images and normalise them in the graph. Plain
    PyTorch (.py) comes with its weights, as safetensors of the same name. Returns the files. Writes atomically. Raises
    CheckpointError for another suffix, a file that is not a checkpoint or has no network of one cell, or missing ONNX
    packages; FileNotFoundError.
    """
    found = _ENDINGS.get(to.suffix)
    if found is None or format_ not in (None, found):
        wanted = [ending for ending, each in _ENDINGS.items() if format_ in (None, each)]
        raise CheckpointError(f"{to.name}: the ending says the format; give one of {', '.join(wanted)}")
    if raw_images and found != "onnx":
        raise CheckpointError(f"{to.name}: raw images are for .onnx, whose graph can normalise them")
    if found == "pytorch":
        return _pytorch(checkpoint, to)
    with _whole(to) as temporary:
        if found == "safetensors":
            with temporary.open("wb") as file:
                safetensors.convert(checkpoint, file)
        else:
            from darts_core.files.loading import load_network

            _onnx(load_network(checkpoint), temporary, raw_images=raw_images)
    return [to]


def _pytorch(checkpoint: Path, to: Path) -> list[Path]:
    """Write the module and, beside it, its weights. Raises CheckpointError where one would replace the checkpoint."""
    from darts_core.files.loading import load
    from darts_core.plain_pytorch.source import pytorch_source

    weights = to.with_suffix(".safetensors")
    source = pytorch_source(checkpoint)
    for file in (to, weights):
        is_copy = file is weights and safetensors.is_safetensors(checkpoint)
        if file.exists() and file.samefile(checkpoint) and not is_copy:
            raise CheckpointError(f"{file.name} is the checkpoint itself: give another name")
    load(checkpoint)  # refuses weights that do not fit the network
    with _whole(weights) as beside, _whole(to) as module:
        with beside.open("wb") as stream:
            safetensors.convert(checkpoint, stream)
        module.write_text(source, encoding="utf-8")
    return [to, weights]


def _onnx(trained: TrainedNetwork, to: Path, *, raw_images: bool) -> None:
    """Input `images`: normalised float32 (N, channels, H, W), any N, or uint8 for raw images. Output `logits` (N,
    classes).

    The metadata holds, as JSON, the classes, the normalisation and whether the graph applies it (`normalised_inside`).
    """
    import torch

    from darts_core.scoring.predict import RawNetwork

    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it, and its own error is less clear
    except ImportError as error:
        raise CheckpointError("ONNX needs more packages, onnx and onnxscript: pip install onnx onnxscript") from error
    height, width = trained.image["size"]
    images = torch.zeros(2, trained.image["channels"], height, width)
    network: torch.nn.Module = trained.network
    if raw_images:
        network = RawNetwork(network, trained.normalisation["mean"], trained.normalisation["std"]).eval()
        images = images.to(torch.uint8)
    with _quiet():
        program = torch.onnx.export(
            network,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # None only from the old exporter
    model = program.model_proto
    about = {"classes": list(trained.classes), **trained.normalisation, "normalised_inside": raw_images}
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    onnx.save_model(model, to)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's messages about its internals."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed over it on success."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

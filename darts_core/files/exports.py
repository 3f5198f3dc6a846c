"""Exports a trained network: ONNX for inference, safetensors for the weights alone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from darts_core.errors import CheckpointError
from darts_core.files import safetensors

if TYPE_CHECKING:
    from darts_core.files.trained_network import TrainedNetwork

_OPSET = 18


def export(checkpoint: Path, to: Path, *, raw_images: bool = False) -> None:
    """Export a checkpoint file to `to`, in the format of its suffix: .safetensors (needs no torch) or .onnx.

    raw_images: for ONNX, take uint8 images and normalise them in the graph. Writes atomically. Raises CheckpointError
    for another suffix, a file that is not a checkpoint, or missing ONNX packages; FileNotFoundError.
    """
    if to.suffix not in (".onnx", ".safetensors"):
        raise CheckpointError(f"{to.name}: the ending says the format; known: .onnx, .safetensors")
    if raw_images and to.suffix != ".onnx":
        raise CheckpointError(f"{to.name}: raw images are for .onnx, safetensors hold the weights alone")
    with _whole(to) as temporary:
        if to.suffix == ".safetensors":
            with temporary.open("wb") as file:
                safetensors.convert(checkpoint, file)
        else:
            from darts_core.files.loading import load_network

            _onnx(load_network(checkpoint), temporary, raw_images=raw_images)


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

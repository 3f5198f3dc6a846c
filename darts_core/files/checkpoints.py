"""The checkpoint file: one dictionary of tensors, numbers and text that `torch.load(weights_only=True)` reads."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, cast

import torch
from pydantic import BaseModel
from torch import Tensor

from darts_core.errors import CheckpointError
from darts_core.files.safetensors import is_safetensors, read_header
from darts_core.files.tensors import read_tensors
from darts_core.files.torch_files import is_pickled, way_out

FORMAT: Final = "dartboard"
VERSION: Final = 1

Kind = Literal["search", "evaluation"]


class Normalisation(TypedDict):
    """One number a channel, for images scaled to 0..1: subtract `mean`, divide by `std`."""

    mean: list[float]
    std: list[float]


class ImageShape(TypedDict):
    """What the network takes: `size` is [height, width] in pixels."""

    channels: int
    size: list[int]


class Environment(TypedDict):
    """What the numbers depend on besides the spec: equal here and on the same hardware, equal bits."""

    torch: str
    device: str
    threads: int
    deterministic: bool
    precision: str
    tf32: bool
    ranks: int


UNKNOWN_ENVIRONMENT: Final[Environment] = {
    "torch": "unknown",
    "device": "unknown",
    "threads": 0,
    "deterministic": False,
    "precision": "unknown",
    "tf32": False,
    "ranks": 1,
}


class _Common(TypedDict):
    format: str
    version: int
    kind: Kind
    epoch: int
    weights: dict[str, Tensor]
    genotype: dict[str, Any]
    spec: dict[str, Any]
    metrics: dict[str, float]
    environment: Environment
    resume: dict[str, Any]


class Checkpoint(_Common, total=False):
    """Everything about a run after one epoch (counted from 1). All tensors are on the CPU.

    `weights` follows the DARTS authors' keys. `alphas` (searches only) holds the raw tables "normal" and "reduce", or
    "recurrent"; of the family cnn there are `classes`, `normalisation` and `image`, of rnn `vocabulary`, the words in
    the order of their numbers. `genotype` is JSON, in a search the one derived from them. `metrics` are those of this
    epoch. `resume` is what the loop alone needs to go on: optimiser states, random generators, the best epoch so far,
    `step`, the steps done since the run began.

    Made in the middle of an epoch, `epoch` is the last finished one (0 in the first), `metrics` is empty and
    `resume` holds "open", the running sums of the epoch in work.
    """

    alphas: dict[str, Tensor]
    classes: list[str]
    normalisation: Normalisation
    image: ImageShape
    vocabulary: list[str]


# What a file of each family holds besides that which all have.
_OF_FAMILY: Final = {"cnn": {"classes", "normalisation", "image"}, "rnn": {"vocabulary"}}


def save(checkpoint: Mapping[str, object], path: Path) -> str:
    """Write the file whole or not at all: next to its place, through to the disk, then renamed over it.

    Gives the file's sha256. Raises OSError (a full disk, say) and leaves what was there before.
    """
    # Serialised in memory first: torch reports a full disk as an error of its own that names no cause.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the renaming itself must survive a power cut, too
    finally:
        os.close(folder)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def read(path: Path) -> Checkpoint:
    """Read a file that `save` wrote. Raises CheckpointError for anything else, FileNotFoundError when there is none.

    Nothing in the file is ever executed: pickled objects are refused.
    """
    return checked(content(path), path)


def plain_dictionary(path: Path) -> dict[str, Any]:
    """What any file of torch.save holds, if it is a dictionary. Raises as `read` does."""
    value = content(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no dictionary")
    return value


def content(path: Path) -> Any:
    """What a file of torch.save or of safetensors holds. Raises as `read` does."""
    if path.is_file() and is_safetensors(path):
        return _from_safetensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        if not is_pickled(path):
            raise CheckpointError(
                f"{path} is no checkpoint: neither a file of torch.save nor of safetensors"
            ) from error
        raise CheckpointError(
            f"{path} is no checkpoint, or holds pickled objects besides tensors, numbers and text: {way_out(path)}"
        ) from error
    # A damaged archive surfaces as whatever its reader trips over first.
    except Exception as error:
        raise CheckpointError(f"{path} is no readable checkpoint: {error}") from error


def _from_safetensors(path: Path) -> dict[str, Any]:
    """The tensors by name; of a file made of a checkpoint of ours that checkpoint, without anything to resume from."""
    header = read_header(path)
    tensors = read_tensors(path, header)
    if header.about is None:
        return dict(tensors)
    unknown = {"environment": UNKNOWN_ENVIRONMENT, "resume": {}}
    return {**header.about, **unknown, "format": FORMAT, "version": VERSION, "weights": tensors}


def check_version(value: Any, path: Path) -> None:
    """Whether a file's content is of our format, and of a version that is known here. Raises CheckpointError."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a {FORMAT} checkpoint: it holds no entry format={FORMAT!r}")
    if value.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {value.get('version')}, this program reads {VERSION}: update it"
        )


def checked(value: Any, path: Path) -> Checkpoint:
    """A file's content as the checkpoint of one network. path: for messages. Raises CheckpointError."""
    check_version(value, path)
    if value.get("kind") not in ("search", "evaluation"):
        raise CheckpointError(f"{path}: unknown kind {value.get('kind')!r}")
    required = set(Checkpoint.__required_keys__) | _OF_FAMILY["rnn" if family_of(value) == "rnn" else "cnn"]
    if value["kind"] == "search":
        required |= {"alphas"}
    if missing := sorted(required - value.keys()):
        raise CheckpointError(f"{path} is incomplete: {', '.join(missing)} missing")
    return cast(Checkpoint, value)


# They say when to save, what to keep, and in which way to compute the same numbers.
_BOOKKEEPING: Final = {"checkpoint_every", "checkpoint_seconds", "fused", "cuda_graph"}


def family_of(checkpoint: Mapping[str, Any]) -> Any:
    """The family that the checkpoint's spec names; `cnn` where it names none."""
    spec = checkpoint.get("spec")
    return spec.get("family", "cnn") if isinstance(spec, dict) else "cnn"


def check_resumable(checkpoint: Checkpoint, kind: Kind, config: BaseModel) -> None:
    """Whether a run of this resolved spec can go on from here. Raises CheckpointError that names what differs.

    A field that is younger than the checkpoint counts as its default, with which everything is as it was before.
    """
    if checkpoint["kind"] != kind:
        raise CheckpointError(f"this checkpoint is of a job of kind {checkpoint['kind']}, not {kind}")
    if not checkpoint["resume"]:
        raise CheckpointError("this checkpoint was imported: it has weights, but no state of a training to go on with")
    spec = config.model_dump(mode="json")
    defaults = {name: field.default for name, field in type(config).model_fields.items()}
    theirs = defaults | checkpoint["spec"]
    fields = (spec.keys() | theirs.keys()) - _BOOKKEEPING
    different = sorted(k for k in fields if spec.get(k) != theirs.get(k))
    if different:
        pairs = "; ".join(f"{k}: {theirs.get(k)!r} there, {spec.get(k)!r} here" for k in different)
        raise CheckpointError(f"this checkpoint is of another spec ({pairs}); resume with the same one or start anew")


def on_cpu(value: Any) -> Any:
    """A copy of nested dictionaries and lists in which every tensor is a clone on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {k: on_cpu(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [on_cpu(v) for v in value]
    return value

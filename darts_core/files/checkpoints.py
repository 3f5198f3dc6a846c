"""Reads and writes checkpoints: one dictionary of tensors, numbers and text for `torch.load(weights_only=True)`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

import torch
from torch import Tensor

from darts_core.configs.common import RunConfig
from darts_core.configs.extensions import before_extensions
from darts_core.errors import CheckpointError
from darts_core.families import family_in
from darts_core.files.safetensors import is_safetensors, read_header
from darts_core.files.tensors import read_tensors
from darts_core.files.torch_files import is_pickled, way_out

FORMAT: Final = "dartboard"
VERSION: Final = 1

Kind = Literal["search", "evaluation"]


class Normalisation(TypedDict):
    """Per channel, for images scaled to 0..1: subtract `mean`, divide by `std`."""

    mean: list[float]
    std: list[float]


class ImageShape(TypedDict):
    """The network's input: `size` is [height, width] in pixels."""

    channels: int
    size: list[int]


class Environment(TypedDict):
    """The environment that results depend on besides the spec; with equal hardware, equal means the same bits.

    dartboard, sources: its version, and a digest of its code. kernels: processor level of the CPU kernels in use, or
    `none`. data: checksum of the data set, or `unknown`.
    """

    torch: str
    device: str
    threads: int
    deterministic: bool
    precision: str
    tf32: bool
    ranks: int
    # Not in older files.
    dartboard: NotRequired[str]
    sources: NotRequired[str]
    python: NotRequired[str]
    numpy: NotRequired[str]
    processor: NotRequired[str]
    kernels: NotRequired[str]
    data: NotRequired[str]


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
    """The state of a run after one epoch (counted from 1). All tensors are on the CPU.

    `weights` uses the DARTS authors' keys. `alphas` (searches only) holds the raw tables "normal" and "reduce", or
    "recurrent", and `strengths` the expected weights of the operations, where the program that saved them wrote them.
    `method` holds tensors that the search method keeps besides the alphas, if it has any.
    The family cnn has `classes`, `normalisation` and `image`, the family rnn has `vocabulary`, the words in index
    order. `genotype` is JSON; a search's is derived from its alphas. `metrics` are of this epoch. `resume` holds the
    state that only the training loop needs: optimisers, random generators, the best epoch so far, and `step`, the
    number of steps since the run began.

    In a checkpoint saved within an epoch, `epoch` is the last finished one (0 in the first), `metrics` is empty and
    `resume` holds "open", the running sums of the partial epoch.
    """

    alphas: dict[str, Tensor]
    strengths: dict[str, list[list[float]]]
    method: dict[str, Tensor]
    classes: list[str]
    normalisation: Normalisation
    image: ImageShape
    vocabulary: list[str]


def save(checkpoint: Mapping[str, object], path: Path) -> str:
    """Write the file atomically: next to its destination, synced to disk, then renamed over it.

    Returns the file's SHA-256. Raises OSError (a full disk, say) and keeps the old file.
    """
    # Serialised in memory first: torch reports a full disk as an error that names no cause.
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
        os.fsync(folder)  # the rename itself must survive a power cut, too
    finally:
        os.close(folder)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def read(path: Path) -> Checkpoint:
    """Read a file written by `save`. Raises CheckpointError for any other file, FileNotFoundError when there is none.

    Executes nothing from the file: pickled objects are refused.
    """
    return checked(content(path), path)


def plain_dictionary(path: Path) -> dict[str, Any]:
    """The dictionary in any torch.save file. Raises as `read` does."""
    value = content(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a dictionary")
    return value


def content(path: Path) -> Any:
    """The content of a torch.save or safetensors file. Raises as `read` does."""
    if path.is_file() and is_safetensors(path):
        return _from_safetensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        if not is_pickled(path):
            raise CheckpointError(
                f"{path} is not a checkpoint: neither a file of torch.save nor of safetensors"
            ) from error
        raise CheckpointError(
            f"{path} is not a checkpoint, or holds pickled objects besides tensors, numbers and text: {way_out(path)}"
        ) from error
    # A damaged archive raises any error of its reader.
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error


def _from_safetensors(path: Path) -> dict[str, Any]:
    """The tensors by name; for a file converted from our checkpoint, that checkpoint without resume state."""
    header = read_header(path)
    tensors = read_tensors(path, header)
    if header.about is None:
        return dict(tensors)
    unknown = {"environment": UNKNOWN_ENVIRONMENT, "resume": {}}
    return {**header.about, **unknown, "format": FORMAT, "version": VERSION, "weights": tensors}


def read_alphas(path: Path) -> dict[str, Tensor]:
    """Read a job's input file of alphas: JSON, tables of rows by name. float64, which holds any type's numbers."""
    tables: dict[str, list[list[float]]] = json.loads(path.read_text(encoding="utf-8"))
    return {name: torch.tensor(rows, dtype=torch.float64) for name, rows in tables.items()}


def check_version(value: Any, path: Path) -> None:
    """Check that the content has our format in a known version. Raises CheckpointError."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a {FORMAT} checkpoint: it holds no entry format={FORMAT!r}")
    if value.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {value.get('version')}, this program reads {VERSION}: update it"
        )


def checked(value: Any, path: Path) -> Checkpoint:
    """Validate a file's content as the checkpoint of one network. path: for messages. Raises CheckpointError."""
    check_version(value, path)
    if value.get("kind") not in ("search", "evaluation"):
        raise CheckpointError(f"{path}: unknown kind {value.get('kind')!r}")
    required = set(Checkpoint.__required_keys__) | family_in({"family": family_of(value)}).checkpoint_fields
    if value["kind"] == "search":
        required |= {"alphas"}
    if missing := sorted(required - value.keys()):
        raise CheckpointError(f"{path} is incomplete: {', '.join(missing)} missing")
    return cast(Checkpoint, value)


# Fields about when to save, what to keep, and how to compute the same numbers.
# `unrolled` of older files repeats `order`.
_BOOKKEEPING: Final = {"checkpoint_every", "checkpoint_seconds", "fused", "cuda_graph", "unrolled"}


def family_of(checkpoint: Mapping[str, Any]) -> Any:
    """The family named by the checkpoint's spec; `cnn` by default."""
    spec = checkpoint.get("spec")
    return spec.get("family", "cnn") if isinstance(spec, dict) else "cnn"


def check_resumable(checkpoint: Checkpoint, kind: Kind, config: RunConfig) -> None:
    """Check that a run of this resolved spec can resume here. Raises CheckpointError that names the differing fields.

    A field introduced after the checkpoint has its default, which preserves the old behaviour. A training that was
    given more epochs can resume at those that it had before.
    """
    if checkpoint["kind"] != kind:
        raise CheckpointError(f"this checkpoint is of a job of kind {checkpoint['kind']}, not {kind}")
    if not checkpoint["resume"]:
        raise CheckpointError("this checkpoint was imported: it has weights, but no state of a training to go on with")
    defaults = {name: field.default for name, field in type(config).model_fields.items()}
    theirs = defaults | checkpoint["spec"]
    epoch = checkpoint["epoch"] + ("open" in checkpoint["resume"])
    specs = [each.model_dump(mode="json") for each in (config, *before_extensions(config, epoch))]
    if all(differing(spec, theirs) for spec in specs):
        spec, different = specs[0], differing(specs[0], theirs)
        pairs = "; ".join(f"{k}: {theirs.get(k)!r} there, {spec.get(k)!r} here" for k in different)
        raise CheckpointError(f"this checkpoint is of another spec ({pairs}); resume with the same one or start anew")


def differing(spec: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields of two specs that make them different trainings."""
    fields = (spec.keys() | other.keys()) - _BOOKKEEPING
    return sorted(name for name in fields if spec.get(name) != other.get(name))


def on_cpu(value: Any) -> Any:
    """Copy nested dictionaries and lists, cloning every tensor to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {k: on_cpu(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [on_cpu(v) for v in value]
    return value

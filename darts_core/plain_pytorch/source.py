"""Writes the network of a checkpoint as one file of plain PyTorch. Imports no torch.

The text depends on the checkpoint and on Dartboard's version alone. Names of the data set, its classes and its words
enter it as escaped literals.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, AnyGenotype, NasBench201Genotype
from darts_core.models.layout import reduction_layers, stem_for
from darts_core.plain_pytorch import images, language, nasbench201
from darts_core.plain_pytorch.description import TrainedOnImages, TrainedOnText, read_description
from darts_core.plain_pytorch.literals import listed, paragraphs, quoted, words
from darts_core.plain_pytorch.operations import used_classes
from darts_core.runtime.version import VERSION
from darts_core.spaces.nasbench201 import STAGES


class _Parts(NamedTuple):
    """usage: of the docstring's example. adapted: what `load` changes in the weights. ending: before the main block."""

    constants: Sequence[str]
    network: str
    usage: str
    adapted: str
    forward: str
    ending: str = ""


def pytorch_source(checkpoint: Path) -> str:
    """The source of a module whose `load` reads the checkpoint's weights from a safetensors file beside it.

    Raises CheckpointError for a checkpoint that is not of one cell's network, FileNotFoundError.
    """
    trained = read_description(checkpoint)
    with checkpoint.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    parts = _of_text(trained) if isinstance(trained, TrainedOnText) else _of_images(trained)
    genotype = trained.spec.cell()
    classes = "\n\n\n".join((*used_classes(parts.network), parts.network))
    return _MODULE.format(
        title=f"The network of {_title(genotype)}, in plain PyTorch.",
        usage=parts.usage,
        about=paragraphs(str(genotype), f"Written by Dartboard {VERSION} from the checkpoint of SHA-256 {sha256}."),
        callable="from collections.abc import Callable\n" if "Callable[" in classes else "",
        functional="import torch.nn.functional as F\n" if "F." in classes else "",
        dataset=quoted(trained.spec.dataset),
        epoch=trained.epoch,
        metrics=_metrics(trained.metrics),
        constants="\n".join(parts.constants),
        classes=classes,
        adapted=parts.adapted,
        ending=parts.ending,
        forward=parts.forward,
    )


def _of_images(trained: TrainedOnImages) -> _Parts:
    spec, genotype = trained.spec, trained.spec.cell()
    height, width = trained.image.size
    constants = [
        f"IMAGE_SHAPE = ({trained.image.channels}, {height}, {width})  # channels, height, width",
        "# Of each channel, for pixels scaled to 0..1.",
        listed("MEAN", list(map(repr, trained.normalisation.mean))),
        listed("STD", list(map(repr, trained.normalisation.std))),
        listed("CLASSES", list(map(quoted, trained.classes))),
        f"CHANNELS = {spec.channels}  # of the first cells",
    ]
    if isinstance(genotype, NasBench201Genotype):
        constants += [f"STAGES = {STAGES}", f"CELLS = {spec.layers // STAGES}  # in each stage"]
        network = nasbench201.network_source(genotype)
    else:
        reductions = sorted(reduction_layers(spec.layers, spec.reductions))
        constants += [f"LAYERS = {spec.layers}", listed("REDUCTIONS", list(map(str, reductions)))]
        stem = spec.stem or stem_for(min(height, width))
        network = images.network_source(genotype, spec.layers, reductions, stem, spec.edge_skips)
    return _Parts(constants, network, _IMAGE_USAGE, _WITHOUT_AUXILIARY if spec.auxiliary else "", _ON_IMAGES)


def _of_text(trained: TrainedOnText) -> _Parts:
    constants = [f"WORDS = {len(trained.vocabulary)}", f"HIDDEN_SIZE = {trained.spec.hidden_size}"]
    vocabulary = f"# In the order of their numbers.\n{words('VOCABULARY', trained.vocabulary)}\n\n\n"
    network = language.network_source(trained.spec.cell())
    return _Parts(constants, network, _TEXT_USAGE, _TIED, _ON_TEXT, vocabulary)


def _title(genotype: AnyGenotype) -> str:
    if isinstance(genotype, NasBench201Genotype):
        return f"NAS-Bench-201's cell {genotype.index}"
    published: Mapping[str, AnyGenotype] = {**KNOWN, **{f"the recurrent {n}": g for n, g in KNOWN_RECURRENT.items()}}
    return next((name for name, known in published.items() if known == genotype), "a searched cell")


def _metrics(metrics: Mapping[str, float]) -> str:
    finite = [f"{quoted(name)}: {value!r}" for name, value in metrics.items() if math.isfinite(value)]
    return listed("METRICS", finite, ("{", "}"))


_IMAGE_USAGE: Final = """
    network = load()  # with the weights of the safetensors file beside this one
    logits = network(images)  # float32, pixels / 255, normalised by MEAN and STD
""".strip("\n")
_TEXT_USAGE: Final = """
    network = load()  # with the weights of the safetensors file beside this one
    logits, hidden = network(tokens)  # numbers of words: their places in VOCABULARY
    logits, hidden = network(following, hidden)
""".strip("\n")

_WITHOUT_AUXILIARY: Final = """
    for name in [name for name in weights if name.startswith("auxiliary_head.")]:
        del weights[name]  # it serves training alone
""".lstrip("\n")
_TIED: Final = """
    weights["decoder.weight"] = weights["encoder.weight"]
""".lstrip("\n")

_ON_IMAGES: Final = "logits = network(torch.zeros(1, *IMAGE_SHAPE))"
_ON_TEXT: Final = "logits, _ = network(torch.zeros(1, 1, dtype=torch.int64))"

_MODULE: Final = '''
"""{title}

{usage}

{about}
"""

import json
import math
{callable}from pathlib import Path

import torch
{functional}from torch import Tensor, nn

DATASET = {dataset}
EPOCH = {epoch}
{metrics}
{constants}

WEIGHTS = Path(__file__).with_suffix(".safetensors")


{classes}


DTYPES = {{
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}}


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read all tensors of a file by name. Raises ValueError for a damaged file.

    The file is eight bytes of the header's length, a JSON header, then the tensors:
    https://huggingface.co/docs/safetensors
    """
    content = Path(path).read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    if not 8 < begin <= len(content):
        raise ValueError(f"{{path}} is not a whole safetensors file")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    tensors = {{}}
    for name, entry in header.items():
        first, end = (begin + offset for offset in entry["data_offsets"])
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        if end > len(content) or end - first != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{{path}} is damaged: it does not hold {{name}} whole")
        values = torch.frombuffer(bytearray(content[first:end]), dtype=dtype)
        tensors[name] = values.reshape(shape)
    return tensors


def load(path: str | Path = WEIGHTS) -> Network:
    """The trained network, in evaluation mode."""
    network = Network()
    weights = read_safetensors(path)
{adapted}    network.load_state_dict(weights)
    return network.eval()


{ending}if __name__ == "__main__":
    network = load()
    parameters = sum(weight.numel() for weight in network.parameters())
    {forward}
    print(f"{{parameters:,}} parameters, logits of shape {{tuple(logits.shape)}}")
'''.lstrip("\n")

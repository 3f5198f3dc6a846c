"""Imports language models of the DARTS authors' RNN code: a bare `state_dict` plus its genotype and text.

The file records neither the cell nor the vocabulary; both must be named. Words are numbered by the authors' rule, which
differs from our own training. `decoder.weight`, if present, equals the encoder's: the two are tied.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from darts_core.configs import RnnEvaluationConfig
from darts_core.data.text.corpus import load_lines
from darts_core.data.text.lines import authors_vocabulary
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import FORMAT, UNKNOWN_ENVIRONMENT, VERSION, Checkpoint, plain_dictionary
from darts_core.files.state_dicts import DECODER, inferred_recurrent, recurrent_misfit, unwrapped
from darts_core.genotypes import RecurrentGenotype, to_json


def read_authors_recurrent(
    path: Path, genotype: RecurrentGenotype, *, dataset: str, data_root: Path, checksum: str | None = None
) -> Checkpoint:
    """Convert the file to a checkpoint without resume state.

    dataset, checksum: the text that defines the vocabulary. Raises CheckpointError for a file that is not a state_dict
    or does not fit the genotype or the vocabulary; DataError.
    """
    tensors = unwrapped(plain_dictionary(path), path.name)
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{path.name} is not a state_dict: expected tensors by name, or those under 'state_dict'")
    sizes = inferred_recurrent({name: tuple(tensor.shape) for name, tensor in tensors.items()}, path.name)
    text = load_lines(dataset, data_root, checksum)
    vocabulary = authors_vocabulary(text.lines)
    if misfit := recurrent_misfit(sizes, len(genotype.recurrent), dataset, len(vocabulary)):
        raise CheckpointError(f"{path.name}: {misfit.msg}")
    decoder = tensors.pop(DECODER, None)
    if decoder is not None and not torch.equal(decoder, tensors["encoder.weight"]):
        raise CheckpointError(f"{path.name}: {DECODER} is not encoder.weight: only models that tie them are taken")
    spec = RnnEvaluationConfig(
        dataset=dataset,
        text_checksum=text.checksum,
        text_version=text.version,
        genotype=to_json(genotype),
        hidden_size=sizes.hidden_size,
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "evaluation",
        "epoch": 0,
        "weights": {name: tensor.detach().float().contiguous().clone() for name, tensor in tensors.items()},
        "genotype": to_json(genotype),
        "spec": spec.model_dump(mode="json"),
        "vocabulary": list(vocabulary),
        "metrics": {},
        "environment": UNKNOWN_ENVIRONMENT,
        "resume": {},
    }

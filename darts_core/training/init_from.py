"""Starts a network from another job's state, as a spec's `init_from` says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from darts_core.configs.init_from import InitFrom
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import Checkpoint
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork

logger = logging.getLogger(__name__)

Source = Checkpoint | Mapping[str, Any]
"""The checkpoint of the other job; for its alphas alone a dictionary with their tables as `alphas` will do."""


def check_source(start: InitFrom | None, source: Source | None) -> None:
    """Raise CheckpointError unless the source is the state that a spec's `init_from` names."""
    if start is None and source is not None:
        raise CheckpointError("this spec starts from no other job: it has no init_from")
    if start is not None and source is None:
        raise CheckpointError(f"the state of job {start.job} to start from is missing: create the job anew")
    if start is not None and source is not None and source.get("epoch", start.epoch) != start.epoch:
        raise CheckpointError(f"this is the state of epoch {source['epoch']}, init_from names epoch {start.epoch}")


def start_search(network: AlphaNetwork | RecurrentSearchNetwork, source: Source, start: InitFrom) -> str:
    """Load weights, alphas or both into a supernet. Returns what was taken, for the log.

    Weights include BatchNorm's running statistics. Raises CheckpointError for tensors that do not fit; the network is
    then unchanged.
    """
    taken = []
    if start.what != "alphas":
        weights = source["weights"]
        _check_shapes("weights", network.state_dict(), weights)
        taken.append(f"the weights ({counted(list(weights.values()))})")
    if start.what != "weights":
        alphas = source["alphas"]
        _check_shapes("alphas", network.alphas, alphas)
        taken.append(f"the alphas ({counted(list(alphas.values()))})")
    if start.what != "alphas":
        network.load_state_dict(source["weights"])
    if start.what != "weights":
        network.load_alphas(source["alphas"])
    return " and ".join(taken)


@torch.no_grad()
def start_evaluation(own: Mapping[str, Tensor], names: Mapping[str, str], weights: Mapping[str, Tensor]) -> str:
    """Copy tensors of the same shape into a network's. Returns what was taken, for the log.

    own: the network's parameters, or its whole state_dict. names: those of the other network's tensors, by the own
    ones. Raises CheckpointError if nothing fits.
    """
    taken = {
        name: source
        for name, tensor in own.items()
        if (source := weights.get(names.get(name, ""))) is not None and source.shape == tensor.shape
    }
    if not taken:
        raise CheckpointError("no weights of init_from's job fit this network: give its channels or hidden_size")
    for name, source in taken.items():
        own[name].copy_(source)
    new = Counter(name.partition(".")[0] for name in own.keys() - taken.keys())
    left = ", ".join(f"{count} of {part}" for part, count in sorted(new.items())) or "none"
    return f"the weights ({counted(list(taken.values()))} of {counted(list(own.values()))}; new tensors: {left})"


def check_vocabulary(source: Source, words: Sequence[str]) -> None:
    """Raise CheckpointError if a language model's weights are of another vocabulary."""
    if list(source["vocabulary"]) != list(words):
        raise CheckpointError("the weights of init_from's job are of another text's vocabulary: give its data set")


def counted(tensors: Sequence[Tensor]) -> str:
    """The number of the tensors and of their numbers."""
    return f"{len(tensors):,} tensors, {sum(tensor.numel() for tensor in tensors):,} numbers"


def _check_shapes(what: str, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = (_shape(tensors.get(name)) for tensors in (ours, theirs))
        if here != there:
            raise CheckpointError(f"the {what} of init_from's job do not fit: {name} is {there} there, {here} here")


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"

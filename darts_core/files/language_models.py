"""Builds a usable language model from a checkpoint of the family rnn."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.data.text.corpus import encode
from darts_core.files.checkpoints import Checkpoint
from darts_core.genotypes import RecurrentGenotype, parse
from darts_core.methods.registry import method_of
from darts_core.models.recurrent.language_model import Pass, RecurrentNetwork, RecurrentSearchNetwork


class TrainedLanguageModel(nn.Module):
    """A language model with its vocabulary.

    Maps word indices (T, B) to logits (T, B, words) for the next words and to the next hidden state. `prepare` makes
    indices from words. `network` is the bare network, whose `state_dict` has the DARTS authors' keys; its weights are
    the validated ones: the averaged weights once there are any.
    """

    def __init__(self, network: RecurrentNetwork | RecurrentSearchNetwork, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        self.checkpoint = checkpoint
        self.vocabulary: tuple[str, ...] = tuple(checkpoint["vocabulary"])
        self.genotype: RecurrentGenotype = parse(checkpoint["genotype"], "rnn")

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Pass:
        """tokens: (T, B), int64. hidden: (B, size), returned by the previous call; None at the beginning of a text."""
        hidden = self.network.start(tokens.shape[1]) if hidden is None else hidden
        return self.network(tokens, hidden)  # type: ignore[no-any-return]

    def prepare(self, words: Sequence[str]) -> Tensor:
        """Map words, with <eos> at line ends, to one column of indices (T, 1); unknown words become <unk>."""
        return encode(words, self.vocabulary)[:, None]


def built_language_model(checkpoint: Checkpoint) -> RecurrentNetwork | RecurrentSearchNetwork:
    """Build a spec's network with these weights. Raises KeyError, ValueError or RuntimeError when they do not fit."""
    words = len(checkpoint["vocabulary"])
    if checkpoint["kind"] == "evaluation":
        evaluation = RnnEvaluationConfig(**checkpoint["spec"])
        network = RecurrentNetwork(evaluation.cell(), words=words, size=evaluation.hidden_size)
        network.load_state_dict(checkpoint["weights"])
        return network
    search = RnnSearchConfig(**checkpoint["spec"]).resolved()
    assert search.primitives is not None  # set in every resolved spec
    supernet = RecurrentSearchNetwork(
        search.primitives, words=words, size=search.hidden_size, nodes=search.nodes, method=method_of(search)
    )
    supernet.load_state_dict(checkpoint["weights"])
    supernet.load_alphas(checkpoint["alphas"])
    supernet.method.load_state(checkpoint.get("method", {}))
    return supernet

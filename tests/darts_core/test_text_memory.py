"""The memory of training on text: counted as autograd does, refused before a run starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_rnn_evaluation, run_rnn_search
from darts_core.bilevel.recurrent import Penalties, penalised
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.errors import OutOfMemory
from darts_core.genotypes import KNOWN_RECURRENT, RecurrentGenotype
from darts_core.models.held import held
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork, RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES
from darts_core.profile.language_model import LanguageShape
from darts_core.profile.text_memory import KeptWindow, kept_by_retraining, kept_by_search
from darts_core.training.text_memory import check_text_fits, longest_window, text_need_of
from tests.support.kept import Kept

CPU = torch.device("cpu")
GPU = torch.device("cuda")  # of which the estimates ask nothing
GIB = 2**30
SHAPE, LENGTH, COLUMNS = LanguageShape(300, 10_000), 35, 64
WITH_A_DEAD_NODE = RecurrentGenotype.of([("tanh", 0), ("relu", 0), ("identity", 1), ("sigmoid", 3)], [4, 1])
CELLS = {**KNOWN_RECURRENT, "a dead node": WITH_A_DEAD_NODE}
PENALTIES = {"activation": Penalties(0.1, 0.0), "slowness": Penalties(0.0, 1e-3), "both": Penalties(0.1, 1e-3)}


def kept_by(network: LanguageModel, penalties: Penalties) -> float:
    """Bytes that autograd keeps of a window whose weights are trained."""
    tokens, targets, hidden, masks = inputs_of(network)
    with Kept(network) as kept:
        passed = network(tokens, hidden, masks)
        loss = penalised(passed.cross_entropy(targets), passed, penalties)
    assert loss.requires_grad
    return kept.bytes


def inputs_of(network: LanguageModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Masks]:
    tokens, targets = torch.zeros(2, LENGTH, COLUMNS, dtype=torch.int64)
    masks = Masks(torch.ones(network.words, 1), *torch.ones(4, COLUMNS, network.size))
    return tokens.clone(), targets, network.start(COLUMNS), masks


def counted(kept: KeptWindow) -> int:
    return 4 * (COLUMNS * kept.per_column + kept.besides)


def options_of(penalties: Penalties) -> dict[str, Any]:
    return {"activation": penalties.activation > 0, "slowness": penalties.slowness > 0}


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("nodes", [1, 4, 8])
def test_a_search_keeps_the_counted_bytes(nodes: int, penalties: str) -> None:
    with torch.device("meta"):  # no memory is needed to count it
        network = RecurrentSearchNetwork(RNN_PRIMITIVES, words=SHAPE.words, size=SHAPE.hidden_size, nodes=nodes)
        with held(list(network.alphas.values())):
            kept = kept_by(network, PENALTIES[penalties])
    assert counted(kept_by_search(SHAPE, nodes, LENGTH, **options_of(PENALTIES[penalties]))) == pytest.approx(
        kept, rel=0.01
    )


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("name", CELLS)
def test_a_retraining_keeps_the_counted_bytes(name: str, penalties: str) -> None:
    with torch.device("meta"):
        network = RecurrentNetwork(CELLS[name], words=SHAPE.words, size=SHAPE.hidden_size)
        kept = kept_by(network, PENALTIES[penalties])
    assert counted(kept_by_retraining(CELLS[name], SHAPE, LENGTH, **options_of(PENALTIES[penalties]))) == pytest.approx(
        kept, rel=0.01
    )


def search(**values: Any) -> RnnSearchConfig:
    return RnnSearchConfig(**{"dataset": "ptb", **values}).resolved()


def retraining(**values: Any) -> RnnEvaluationConfig:
    return RnnEvaluationConfig(**{"dataset": "ptb", "genotype": "DARTS_V2", **values}).resolved()


def check(
    config: RnnSearchConfig | RnnEvaluationConfig, free: int, device: torch.device = CPU, words: int = 10**6
) -> None:
    check_text_fits(config, device, vocabulary=10_000, words=words, free=free)


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize("order", [1, 2])
def test_the_batch_that_a_refusal_of_a_search_offers_fits_and_no_larger_one(order: int, device: torch.device) -> None:
    free = 3 * GIB // 4 if device == CPU else 3 * GIB
    with pytest.raises(OutOfMemory, match=r"batch_size 512 needs about \d\.\d GiB on .*, which has .* free") as refused:
        check(search(order=order, batch_size=512), free, device)
    batch = int(re.findall(r"batch_size=(\d+)", str(refused.value))[0])
    check(search(order=order, batch_size=batch), free, device)
    with pytest.raises(OutOfMemory):
        check(search(order=order, batch_size=batch + 1), free, device)


def test_a_refused_retraining_is_offered_a_batch_and_parts_that_fit() -> None:
    with pytest.raises(OutOfMemory, match="batch_size 64 needs") as refused:
        check(retraining(), GIB * 3 // 4)
    batch, part = map(int, re.findall(r"batch_size=(\d+)", str(refused.value)))
    check(retraining(batch_size=batch), GIB * 3 // 4)
    check(retraining(small_batch_size=part), GIB * 3 // 4)
    assert 64 % part == 0
    with pytest.raises(OutOfMemory):
        check(retraining(batch_size=batch + 1), GIB * 3 // 4)


@pytest.mark.parametrize("config", [search(), retraining()])
def test_a_network_that_no_batch_makes_fit_is_told_so(config: RnnSearchConfig | RnnEvaluationConfig) -> None:
    with pytest.raises(OutOfMemory, match="no batch would fit: use a smaller hidden_size or bptt, or a larger device"):
        check(config, GIB // 20)


def test_columns_of_a_text_shorter_than_a_window_are_counted_as_they_are() -> None:
    check(search(batch_size=1000), GIB // 2, words=3000)
    with pytest.raises(OutOfMemory):
        check(search(batch_size=1000), GIB // 2)


def test_graphs_keep_a_step_beside_the_called_ones_and_their_gradients() -> None:
    with_graph, without = (
        text_need_of(config, 10_000, GPU, longest_window(config)).of(64)
        for config in (search(cuda_graph=wanted) for wanted in (True, False))
    )
    assert with_graph > 2 * without - text_need_of(search(cuda_graph=False), 10_000, GPU, 35).of(0)


def test_a_run_is_refused_before_its_network_is_built(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text("a b c d e f g\n" * 40)
    values: dict[str, Any] = {"dataset": "folder:tiny", "preset": "ptb", "hidden_size": 16_384, "batch_size": 4}
    with pytest.raises(OutOfMemory, match="no batch would fit"):
        run_rnn_search(RnnSearchConfig(**values, nodes=12, order=2).resolved(), data_root=tmp_path, device=CPU)
    with pytest.raises(OutOfMemory, match="no batch would fit"):
        run_rnn_evaluation(RnnEvaluationConfig(**values, genotype="ENAS").resolved(), data_root=tmp_path, device=CPU)

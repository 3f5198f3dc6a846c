"""A retraining that starts from another one's weights, or from those of the supernet that its cell was found in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import Checkpoint, on_cpu
from darts_core.genotypes import Edge, Genotype, NasBench201Genotype, to_json
from darts_core.genotypes.nasbench201 import SOURCES
from darts_core.models.build import build_supernet
from darts_core.models.evaluation_network import Cell, EvaluationNetwork
from darts_core.models.supernet import MixedEdge, SearchNetwork
from darts_core.primitives import edges_of
from darts_core.training.control import UNCONTROLLED
from darts_core.training.evaluation import ImageEvaluation
from darts_core.training.images import DeviceData
from darts_core.training.init_from import Source
from tests.support.recorder import through_a_file
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]
JOB = "018f0000-0000-7000-8000-000000000000"
START = {"job": JOB, "epoch": 1}
PRIMITIVES = ["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"]
CELL = Genotype.of(
    [("sep_conv_3x3", 0), ("skip_connect", 1), ("dil_conv_3x3", 2), ("max_pool_3x3", 0)],
    [2, 3],
    [("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1), ("dil_conv_3x3", 2)],
    [2, 3],
)


def begun(config: EvaluationConfig, data_root: Path, source: Source | None = None) -> ImageEvaluation:
    """A training before its first step."""
    loop = ImageEvaluation(config, DeviceData.read(config, data_root, torch.device("cpu")), UNCONTROLLED)
    loop.run(source)
    return loop


def supernet_of(config: SearchConfig, checkpoint: Checkpoint) -> SearchNetwork:
    network = build_supernet(config, classes=2, image_channels=1, stem="cifar", fused=False)
    network.load_state_dict(checkpoint["weights"])
    assert isinstance(network, SearchNetwork)
    return network


def parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def assert_inherited(module: nn.Module, source: nn.Module) -> None:
    """All weights of the source; what the module has besides, BatchNorm's factors and statistics, is new."""
    own, theirs = parameters(module), parameters(source)
    assert_same_bits({name: own[name] for name in theirs}, theirs)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))  # type: ignore[arg-type]
            assert torch.equal(norm.running_var, torch.ones_like(norm.running_var))  # type: ignore[arg-type]
    for name in own.keys() - theirs.keys():
        assert torch.equal(own[name], torch.full_like(own[name], float(name.endswith("weight"))))


def test_a_cells_operations_have_the_weights_of_the_same_operations_on_the_same_edges(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_config(epochs=1, primitives=PRIMITIVES, layers=6)
    [report] = run_search(search, data_root=data_root)
    supernet = supernet_of(search, report.checkpoint)
    config = evaluation_config(genotype=to_json(CELL), layers=9, seed=7, init_from=START)
    with caplog.at_level("INFO", "darts_core"):
        network = begun(config, data_root, report.checkpoint).network
    new = begun(evaluation_config(genotype=to_json(CELL), layers=9, seed=7), data_root).network
    assert isinstance(network, EvaluationNetwork)
    assert isinstance(new, EvaluationNetwork)
    # Reductions are cells 2 and 4 of the supernet's 6, and 3 and 6 of the network's 9.
    for number, pair in enumerate([0, 1, None, 2, 3, None, 4, 5, None]):
        cell = network.cells[number]
        assert isinstance(cell, Cell)
        if pair is None:
            assert_same_bits(parameters(cell), parameters(new.cells[number]))
            continue
        theirs: Any = supernet.cells[pair]
        assert_inherited(cell.preprocess1, theirs.preprocess1)
        assert_inherited(cell.preprocess0, theirs.preprocess0)
        edges = CELL.reduce if number in (3, 6) else CELL.normal
        for place, edge in enumerate(edges):
            assert isinstance(edge, Edge)
            mixed: MixedEdge = theirs._ops[edges_of(place // 2) + edge.source]
            if edge.op != "max_pool_3x3":  # the supernet's has a BatchNorm, without weights
                assert_inherited(cell._ops[place], mixed._ops[PRIMITIVES.index(edge.op)])
    for part in ("stem", "classifier"):
        assert_same_bits(parameters(getattr(network, part)), parameters(getattr(supernet, part)))
    [told] = [line for line in caplog.messages if line.startswith("starts with the weights (")]
    assert f"of epoch 1 of job {JOB}; all else begins anew" in told
    assert "new tensors: " in told


def test_a_cell_of_nasbench201_has_the_weights_of_its_supernet(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    search = search_config(epochs=1, space="nasbench201", primitives=None, nodes=3)
    [report] = run_search(search, data_root=data_root)
    operations = ["nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3", "nor_conv_3x3"]
    cell = NasBench201Genotype.of_operations(operations)
    assert len(SOURCES) == len(operations)
    config = evaluation_config(genotype=to_json(cell), layers=6, drop_path=0.0, init_from=START)
    own, weights = begun(config, data_root, report.checkpoint).network.state_dict(), report.checkpoint["weights"]
    primitives = [*map(str, search.primitives or ())]
    # Cells 0, 3 and 6 of the network's are the first of their stages, 0, 2 and 4 of the supernet's.
    for number, pair in ((0, 0), (3, 2), (6, 4)):
        for edge, op in enumerate(operations):
            if op.startswith("nor_conv"):
                theirs = weights[f"cells.{pair}._ops.{edge}._ops.{primitives.index(op)}.op.1.weight"]
                assert torch.equal(own[f"cells.{number}.layers.{edge}.op.1.weight"], theirs)
    assert torch.equal(own["cells.2.conv_a.op.1.weight"], weights["cells.1.conv_a.op.1.weight"])
    assert torch.equal(own["lastact.0.weight"], weights["lastact.0.weight"])


def test_skip_connections_beside_the_operations_are_inherited(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    search = search_config(epochs=1, space="bench-wide-all-skip", primitives=None, channels=2, layers=3)
    [report] = run_search(search, data_root=data_root)
    assert isinstance(report.genotype, Genotype)
    values = {"genotype": to_json(report.genotype), "edge_skips": True, "channels": search.channels}
    config = evaluation_config(**values, init_from=START)
    own, weights = begun(config, data_root, report.checkpoint).network.state_dict(), report.checkpoint["weights"]
    for conv in ("conv_1", "conv_2"):
        theirs = weights[f"cells.1._ops.{report.genotype.reduce[0].source}.skip.{conv}.weight"]
        assert torch.equal(own[f"cells.1._skips.0.{conv}.weight"], theirs)


def test_an_evaluation_starts_with_the_bits_of_another_ones_network(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    [report] = run_evaluation(evaluation_config(epochs=1), data_root=data_root)
    loop = begun(evaluation_config(seed=7, init_from=START), data_root, report.checkpoint)
    assert_same_bits(on_cpu(loop.network.state_dict()), report.checkpoint["weights"])
    assert loop.optimizer.state_dict()["state"] == {}
    assert (loop.epoch, loop.steps_done, loop.best) == (0, 0, {})


def test_other_classes_get_a_new_classifier(
    evaluation_config: MakeEvaluation, draw_classes: Callable[..., None], tmp_path: Path
) -> None:
    draw_classes(tmp_path / "two", {"a": 20, "b": 20})
    draw_classes(tmp_path / "three", {"a": 20, "b": 20, "c": 20})
    [report] = run_evaluation(evaluation_config(dataset="folder:two", epochs=1), data_root=tmp_path)
    values = {"dataset": "folder:three", "seed": 7}
    own = begun(evaluation_config(**values, init_from=START), tmp_path, report.checkpoint).network.state_dict()
    new = begun(evaluation_config(**values), tmp_path).network.state_dict()
    for name, tensor in own.items():
        expected = new if name.startswith("classifier") else report.checkpoint["weights"]
        assert torch.equal(tensor, expected[name])


def test_a_started_evaluation_resumes_from_its_own_checkpoint(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    [report] = run_evaluation(evaluation_config(epochs=1), data_root=data_root)
    config = evaluation_config(seed=7, epochs=2, init_from=START)
    first, second = run_evaluation(config, data_root=data_root, source=report.checkpoint)
    [resumed] = run_evaluation(config, data_root=data_root, resume_from=through_a_file(first, tmp_path))
    assert_same_bits(second.checkpoint, resumed.checkpoint)


def test_weights_of_which_nothing_fits_are_refused(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    [report] = run_evaluation(evaluation_config(epochs=1), data_root=data_root)
    strange: Checkpoint = {**report.checkpoint, "weights": {"head.weight": torch.zeros(3)}}
    with pytest.raises(CheckpointError, match=r"no weights of init_from's job fit this network"):
        run_evaluation(evaluation_config(init_from=START), data_root=data_root, source=strange)

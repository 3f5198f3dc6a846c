"""Random search with weight sharing: paths, the selection of the last epoch, and stops in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.errors import Stopped
from darts_core.files import checkpoints
from darts_core.files.loading import load
from darts_core.genotypes import Genotype, random_genotype
from darts_core.methods.weight_sharing import WeightSharing
from darts_core.models.build import build_supernet
from darts_core.models.supernet import MixedEdge, SearchNetwork
from darts_core.training.weight_sharing import best_places, random_cells
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
# 16 of 32 images train the weights, in batches of 6 and a last one of 4.
STEPS = 3


def test_a_step_draws_two_inputs_a_node_and_their_operations_uniformly(search_config: MakeSearch) -> None:
    method = WeightSharing(search_config(method="rsps", nodes=3))
    alphas = {"normal": torch.zeros(9, 4), "reduce": torch.zeros(9, 4)}
    places: Counter[tuple[int, int]] = Counter()
    draws = 2000
    for step in range(draws):
        method.begin_step(step)
        method.begin_pass("weights")
        weights = method.operation_weights(alphas)["normal"]
        assert [int(part.sum()) for part in torch.split(weights, [2, 3, 4])] == [2, 2, 2]
        chosen = method.chosen({"normal": weights})["normal"]
        assert [None if not row.any() else int(row.argmax()) for row in weights] == list(chosen)
        places.update((edge, operation) for edge, operation in enumerate(chosen) if operation is not None)
    for edge, inputs in enumerate([2] * 2 + [3] * 3 + [4] * 4):
        chance = 2 / inputs / 4
        for operation in range(4):
            assert abs(places[edge, operation] / draws - chance) < 4 * (chance * (1 - chance) / draws) ** 0.5
    assert method.strengths(alphas)["normal"] == [[2 / inputs / 4] * 4 for inputs in [2] * 2 + [3] * 3 + [4] * 4]


def test_only_the_path_is_computed(search_config: MakeSearch) -> None:
    config = search_config(method="rsps")
    network = build_supernet(config, classes=2, image_channels=1, stem="cifar", fused=False).double()
    assert isinstance(network, SearchNetwork)
    network.method.begin_pass("weights")
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    calls: Counter[int] = Counter()
    for place, cell in enumerate(network.cells):
        for edge in cell.modules():
            if isinstance(edge, MixedEdge):
                for op in edge.get_submodule("_ops").children():
                    op.register_forward_hook(lambda *_, place=place: calls.update([place]))
    answers = network(images)
    assert calls == {0: 4, 1: 4, 2: 4}
    # All operations by the same weights: those of 0 add nothing.
    network.method.chosen = lambda weights: {}  # type: ignore[method-assign]
    torch.testing.assert_close(network(images), answers, rtol=0, atol=1e-10)


def test_the_last_epoch_chooses_the_best_of_random_cells(
    search_config: MakeSearch, data_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = search_config(method="rsps", epochs=2, sampled_cells=7, finalists=3)
    control = Recorder()
    with caplog.at_level("INFO", logger="darts_core"):
        first, last = run_search(config, data_root=data_root, control=control)
    primitives = tuple(map(str, config.primitives or ()))
    assert first.genotype == random_genotype(config.seed, nodes=2, primitives=primitives)
    assert "method" not in first.checkpoint
    assert [(p.epoch, p.step, p.steps, p.left) for p in control.told] == [
        *((1, step, STEPS, 2 * STEPS + 10 - step) for step in range(1, STEPS + 1)),
        *((2, step, STEPS + 10, STEPS + 10 - step) for step in range(1, STEPS + 11)),
    ]
    accuracies = last.checkpoint["resume"]["accuracies"]
    assert len(accuracies) == 10
    finalists = best_places(accuracies[:7], 3)
    best = finalists[best_places(accuracies[7:], 1)[0]]
    assert last.metrics["validation_accuracy"] == max(accuracies[7:])
    assert f"cell {best + 1} of 7 random ones is the best of 3 finalists" in caplog.text
    cell = random_cells(config, 7)[best]
    assert isinstance(cell, Genotype)
    assert isinstance(last.genotype, Genotype)
    assert [{*last.genotype.normal[i : i + 2]} for i in (0, 2)] == [{*cell.normal[i : i + 2]} for i in (0, 2)]
    assert not any(table.any() for table in last.checkpoint["alphas"].values())
    assert last.strengths is not None
    assert sorted(sum(row) for row in last.strengths["normal"]) == [0, 1, 1, 1, 1]
    last.save(tmp_path / "last.pt")
    network = load(tmp_path / "last.pt").network
    assert isinstance(network, SearchNetwork)
    assert network.genotype() == last.genotype


@pytest.mark.parametrize("steps", [1, STEPS, STEPS + 3, STEPS + 7, STEPS + 9])
def test_a_search_stopped_in_its_last_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    steps: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(method="rsps", epochs=1, sampled_cells=7, finalists=3, checkpoint_seconds=AT_EVERY_STEP)
    [undisturbed] = run_search(config, data_root=data_root)
    control = Recorder(stop_at=steps)
    with pytest.raises(Stopped):
        list(run_search(config, data_root=data_root, control=control))
    checkpoints.save(control.kept[-1], tmp_path / "middle.pt")
    again = Recorder()
    [resumed] = run_search(
        config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt"), control=again
    )
    assert [p.step for p in again.told] == [*range(steps + 1, STEPS + 11)]
    assert_same_bits(undisturbed.checkpoint, resumed.checkpoint)


def test_a_stop_within_a_measurement_keeps_the_earlier_ones(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(method="rsps", epochs=1, sampled_cells=7, finalists=3)
    # Asked once a step, and once a measured batch.
    control = Recorder(stop_after=STEPS + 2 * 3 + 1)
    with pytest.raises(Stopped):
        list(run_search(config, data_root=data_root, control=control))
    [middle] = control.kept
    assert middle["resume"]["open"]["steps"] == STEPS + 3
    assert len(middle["resume"]["accuracies"]) == 3

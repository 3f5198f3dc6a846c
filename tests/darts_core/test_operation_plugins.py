"""An operation that another package adds: searched, retrained, profiled, drawn, and refused where it is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import darts_core
from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.score import TrainedOn
from darts_core.drawing import cells_of, scene_of, to_svg
from darts_core.errors import CheckpointError, ConfigError, GenotypeError
from darts_core.files import checkpoints
from darts_core.files.exports import export
from darts_core.files.state_dict_specs import described
from darts_core.genotypes import Genotype, parse
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.operations import operation
from darts_core.operation_plugins import _entries, added_operations
from darts_core.profile.costs import Chain, Map
from darts_core.profile.costs import operation as count
from darts_core.profile.network import profile_cells
from darts_core.profile.shapes import Shape
from tests.support.processes import CODE

MakeSearch = Callable[..., SearchConfig]

MODULE, COSTS = re.findall(r"```python\n(.*?)```", (CODE / "docs" / "own-operations.md").read_text(), re.DOTALL)
ENTRIES = """
[dartboard.operations]
mbconv_3x3 = lab_operations.modules:build
Bad-Name = lab_operations.modules:build
skip_connect = lab_operations.modules:build
[dartboard.operation_costs]
mbconv_3x3 = lab_operations.costs:count
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A package with the operation `mbconv_3x3`."""
    root = tmp_path_factory.mktemp("site")
    for name, text in (
        ("lab_operations/__init__.py", ""),
        ("lab_operations/modules.py", MODULE),
        ("lab_operations/costs.py", COSTS),
        ("lab_operations-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lab_operations\nVersion: 1\n"),
        ("lab_operations-1.dist-info/entry_points.txt", ENTRIES),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    sys.path.insert(0, str(root))
    _forget()
    yield
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.startswith("lab_operations")]:
        del sys.modules[name]
    _forget()


def _forget() -> None:
    added_operations.cache_clear()
    _entries.cache_clear()


def mixed(search_config: MakeSearch, **values: Any) -> SearchConfig:
    return search_config(primitives=["none", "skip_connect", "mbconv_3x3"], epochs=1, **values)


def test_names_that_are_no_names_are_left_out() -> None:
    assert added_operations() == ("mbconv_3x3",)


@pytest.mark.parametrize("search", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_package_builds_and_counts_its_operation(search: bool, stride: int) -> None:
    module = operation("mbconv_3x3", 4, stride, search=search)
    chain = Chain(Map(4, 9, 9))
    count("mbconv_3x3", chain, stride, search=search)
    out = module(torch.randn(2, 4, 9, 9))
    assert out.shape == (2, chain.map.channels, chain.map.height, chain.map.width)
    assert chain.cost.parameters == sum(p.numel() for p in module.parameters())


def test_a_cell_with_it_is_searched_retrained_and_loaded(
    search_config: MakeSearch, data_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "darts_core"):
        [found] = run_search(mixed(search_config, target={"parameters": {"weight": 1}}), data_root=data_root)
    assert "computes operations one by one: the fused cell lacks mbconv_3x3" in caplog.text
    cell = "normal=[('mbconv_3x3', 0), ('skip_connect', 1)], normal_concat=[2]"
    genotype = parse(f"Genotype({cell}, {cell.replace('normal', 'reduce')})", "cnn")
    assert isinstance(genotype, Genotype)
    assert str(parse(str(genotype), "cnn")) == str(genotype)
    assert "mbconv_3x3" in to_svg(scene_of(cells_of(genotype)))
    config = EvaluationConfig(
        dataset="folder:tiny", genotype=str(genotype), epochs=1, batch_size=6, channels=4, layers=3, auxiliary=False
    ).resolved()
    [trained] = run_evaluation(config, data_root=data_root)
    checkpoints.save(trained.checkpoint, tmp_path / "trained.pt")
    loaded = darts_core.load(tmp_path / "trained.pt")
    shape = Shape(channels=4, layers=3, classes=10, image=16)
    built = EvaluationNetwork(genotype, channels=4, layers=3, classes=10)
    assert profile_cells(genotype, shape).parameters == sum(p.numel() for p in built.parameters())
    assert any(type(module).__name__ == "MBConv" for module in loaded.modules())
    with pytest.raises(CheckpointError, match=r"operation 'mbconv_3x3' is of an installed package.*ends in \.onnx"):
        export(tmp_path / "trained.pt", tmp_path / "trained.py")
    assert found.metrics["expected_parameters"] > 0


def test_a_bare_state_dict_with_it_is_refused_by_name() -> None:
    cell = "normal=[('mbconv_3x3', 0), ('skip_connect', 1)], normal_concat=[2]"
    genotype = parse(f"Genotype({cell}, {cell.replace('normal', 'reduce')})", "cnn")
    assert isinstance(genotype, Genotype)
    network = EvaluationNetwork(genotype, channels=4, layers=3, classes=10)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    with pytest.raises(CheckpointError, match="the parameters of mbconv_3x3 are known to its package alone"):
        described(shapes, genotype, "net.pt", TrainedOn())


def test_an_operation_that_no_package_adds_is_refused_with_the_known_ones(search_config: MakeSearch) -> None:
    with pytest.raises(ValueError, match=r"unknown operation; known: none, .*, mbconv_3x3"):
        search_config(primitives=["mbconv_5x5"])
    with pytest.raises(GenotypeError, match=r"unknown operation 'mbconv_5x5'; allowed: .*, mbconv_3x3"):
        parse("Genotype(normal=[('mbconv_5x5', 0), ('none', 1)], normal_concat=[2], reduce=[], reduce_concat=[])")
    with pytest.raises(ConfigError, match=r"no installed package adds 'mbconv_5x5' in .* dartboard\.operations"):
        operation("mbconv_5x5", 4, 1, search=True)

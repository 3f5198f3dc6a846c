"""The arithmetic of costs against published figures, and against the real networks."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from darts_core.errors import ConfigError
from darts_core.genotypes import KNOWN, Genotype, parse
from darts_core.models.evaluation_network import Cell, EvaluationNetwork
from darts_core.models.layout import Stem
from darts_core.models.operations import FactorizedReduce, Noise
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS
from darts_core.profile import Shape, profile, search_cost, shape_of
from darts_core.spaces import SPACES, CnnSpace
from tests.support.kept import Kept
from tests.support.sparse_cells import FAIR_DARTS, sparse_cells

# Parameters, parameters with the auxiliary head, and million multiply-adds to three digits.
PUBLISHED = {
    "cifar10": {
        "DARTS_V1": (3_169_414, 3_645_840, "500.988"),
        "DARTS_V2": (3_349_342, 3_825_768, "528.359"),
        "MMRAZOR_97_32": (2_946_286, 3_422_712, "467.782"),
        "PC_DARTS": (3_634_678, 4_111_104, "556.671"),
        "PADDLESLIM_PC_DARTS": (3_738_574, 4_215_000, "595.848"),
        "NASNet": (3_830_950, 4_288_944, "603.452"),
        "AmoebaNet": (3_145_078, 3_603_072, "488.932"),
    },
    "imagenet": {
        "DARTS_V1": (4_510_432, 5_771_208, "505.865"),
        "DARTS_V2": (4_718_752, 5_979_528, "529.912"),
        "MMRAZOR_97_32": (4_289_152, 5_549_928, "478.252"),
        "PC_DARTS": (5_270_560, 6_531_336, "571.137"),
        "PADDLESLIM_PC_DARTS": (5_186_944, 6_447_720, "587.084"),
        "NASNet": (5_564_320, 6_800_520, "604.032"),
        "AmoebaNet": (4_627_360, 5_863_560, "526.747"),
    },
}


@pytest.mark.parametrize(("preset", "name"), [(preset, name) for preset in PUBLISHED for name in PUBLISHED[preset]])
def test_a_known_genotype_has_its_published_cost(preset: str, name: str) -> None:
    found = profile(KNOWN[name], shape_of(preset))
    millions = f"{found.multiply_adds / 1e6:.3f}"
    assert (found.parameters, found.parameters_with_auxiliary, millions) == PUBLISHED[preset][name]


@pytest.mark.parametrize(
    ("name", "with_auxiliary", "parameters", "millions"),
    [("c", False, 2_598_814, "400"), ("d", True, 3_841_968, "533"), ("g", True, 3_375_480, "453")],
)
def test_a_sparse_genotype_has_the_cost_that_its_authors_print(
    name: str, with_auxiliary: bool, parameters: int, millions: str
) -> None:
    # FairDARTS' genotypes.py: 2.59 M and 400 M, 3.84 M and 532 M, 3.375 M and 453 M.
    found = profile(parse(FAIR_DARTS[name]), shape_of("cifar10"))
    assert (found.parameters_with_auxiliary if with_auxiliary else found.parameters) == parameters
    assert f"{found.multiply_adds / 1e6:.0f}" == millions


@st.composite
def cells(draw: st.DrawFn) -> tuple[list[list[Any]], list[int]]:
    nodes = draw(st.integers(1, 6))
    operations = st.sampled_from(sorted(CNN_GENOTYPE_OPERATIONS))
    edges = [[draw(operations), draw(st.integers(0, 1 + i // 2))] for i in range(2 * nodes)]
    return edges, draw(st.lists(st.integers(2, 1 + nodes), min_size=1, unique=True))


_CELL = cells() | sparse_cells()
GENOTYPES = st.builds(lambda normal, reduce: Genotype.of(*normal, *reduce), _CELL, _CELL)
SIZES = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([2, 4, 6, 7]),
        "layers": st.integers(3, 7),
        "classes": st.integers(1, 12),
        "image_channels": st.integers(1, 3),
        "edge_skips": st.booleans(),
    }
)


def _shape(image: int, stem: Stem, sizes: dict[str, Any]) -> Shape:
    assume(stem != "imagenet" or sizes["channels"] % 2 == 0)
    return Shape(image=image, stem=stem, **sizes)


def _build(genotype: Genotype, shape: Shape, *, auxiliary: bool = False) -> EvaluationNetwork:
    return EvaluationNetwork(
        genotype,
        channels=shape.channels,
        layers=shape.layers,
        classes=shape.classes,
        image_channels=shape.image_channels,
        stem=shape.stem,
        auxiliary=auxiliary,
        edge_skips=shape.edge_skips,
    )


class _Measured:
    """Counts by forward hooks: multiply-adds, and the numbers that come out of layers, sums and concatenations."""

    def __init__(self, network: nn.Module) -> None:
        self.multiply_adds = self.activations = 0
        for module in network.modules():
            module.register_forward_hook(self._count)

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        match module:
            case nn.Conv2d():
                self.multiply_adds += module.weight.numel() * out.shape[2] * out.shape[3]
                self.activations += out.numel()
            case nn.Linear():
                self.multiply_adds += module.weight.numel()
                self.activations += out.numel()
            case Noise():
                self.activations += out.numel()
            case nn.ReLU() | nn.BatchNorm2d() | nn.MaxPool2d() | nn.AvgPool2d() | nn.AdaptiveAvgPool2d():
                self.activations += out.numel()
            case FactorizedReduce():
                self.activations += out.numel()  # the concatenation of its halves
            case Cell():
                node = out.numel() // len(module.concat)
                sums = sum(len(sources) == 2 for sources in module.sources)
                beside = sum(map(len, module.sources)) if module._skips is not None else 0
                self.activations += node * (sums + beside) + out.numel()


@given(GENOTYPES, SIZES, st.sampled_from(get_args(Stem)), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_any_network_has_the_computed_cost(genotype: Genotype, sizes: dict[str, Any], stem: Stem, image: int) -> None:
    shape = _shape(image, stem, sizes)
    network = _build(genotype, shape).eval()
    measured = _Measured(network)
    with torch.no_grad():
        network(torch.zeros(1, shape.image_channels, image, image))
    found = profile(genotype, shape)
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.multiply_adds == measured.multiply_adds
    assert found.activation_bytes == 4 * measured.activations


@given(GENOTYPES, SIZES, st.sampled_from(get_args(Stem)))
@settings(max_examples=30, deadline=None)
def test_any_auxiliary_head_has_the_parameters_the_arithmetic_says(
    genotype: Genotype, sizes: dict[str, Any], stem: Stem
) -> None:
    shape = _shape(32, stem, sizes)
    with torch.device("meta"):
        network = _build(genotype, shape, auxiliary=True)
    assert profile(genotype, shape).parameters_with_auxiliary == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("stem", get_args(Stem))
def test_each_cell_is_told_as_it_is_built(stem: Stem) -> None:
    shape = Shape(channels=4, layers=5, classes=3, image=37, stem=stem)
    network = _build(KNOWN["AmoebaNet"], shape).eval()
    outputs: list[tuple[int, ...]] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _, __, out: outputs.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 3, 37, 37))
    found = profile(KNOWN["AmoebaNet"], shape)
    assert [(cell.channels, cell.height, cell.width) for cell in found.cells] == outputs
    assert [cell.kind for cell in found.cells] == ["normal", "reduce", "normal", "reduce", "normal"]
    assert [cell.parameters for cell in found.cells] == [sum(p.numel() for p in c.parameters()) for c in network.cells]


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_parts_add_up_to_the_whole(preset: str) -> None:
    found = profile(KNOWN["NASNet"], shape_of(preset))
    for field in ("parameters", "multiply_adds", "activation_bytes"):
        parts = [found.stem, *found.cells, found.classifier]
        assert sum(getattr(part, field) for part in parts) == getattr(found, field)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"channels": 7, "stem": "imagenet"}, "channels: must be even behind the stem 'imagenet', not 7"),
        ({"channels": 0}, "channels: must be from 2 to 1,024, not 0"),
        ({"layers": 101}, "layers: must be from 1 to 100"),
        ({"classes": 0}, "classes: must be from 1"),
        ({"image": 5000}, "image: must be from 1 to 4,096"),
    ],
)
def test_a_size_out_of_range_is_refused_by_name(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shape_of("cifar10", **sizes)


@pytest.mark.parametrize(("image", "stem"), [(28, "cifar"), (64, "half"), (224, "imagenet")])
def test_the_stem_is_that_of_the_image_size_unless_given(image: int, stem: Stem) -> None:
    assert shape_of("cifar10", image=image).stem == stem
    assert shape_of("cifar10", image=image, stem="cifar").stem == "cifar"


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'mnist'; known: cifar10, imagenet"):
        shape_of("mnist")


IMAGES = 64  # so many that what does not grow with them (BatchNorm's statistics) is next to nothing


@pytest.mark.parametrize("stem", get_args(Stem))
@pytest.mark.parametrize(("name", "image"), [("DARTS_V2", 32), ("PC_DARTS", 37)])
@pytest.mark.parametrize("edge_skips", [False, True])
def test_training_keeps_the_computed_bytes(name: str, stem: Stem, image: int, edge_skips: bool) -> None:
    shape = Shape(channels=8, layers=4, classes=10, image=image, stem=stem, edge_skips=edge_skips)
    with torch.device("meta"):  # no memory is needed to count it
        network = _build(KNOWN[name], shape)
        images = torch.empty(IMAGES, 3, image, image)
        with Kept(network) as kept:
            logits = network(images)
    assert logits.requires_grad
    assert kept.bytes / IMAGES == pytest.approx(profile(KNOWN[name], shape).training_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("space", "nodes", "stem"),
    [
        ("darts", 4, "cifar"),
        ("space2", 1, "half"),
        ("space3", 6, "imagenet"),
        ("bench-deep-all-skip", 4, "cifar"),
        ("bench-single-cell-all-skip", 8, "half"),
    ],
)
def test_a_search_has_the_computed_bytes_and_parameters(space: CnnSpace, nodes: int, stem: Stem) -> None:
    skips, outputs = SPACES[space].edge_skips, SPACES[space].outputs
    shape = Shape(channels=4, layers=4, classes=10, image=33, stem=stem, edge_skips=skips)
    primitives = SPACES[space].primitives
    options: dict[str, Any] = {"channels": 4, "layers": 4, "nodes": nodes, "classes": 10, "stem": stem}
    with torch.device("meta"):
        network = SearchNetwork(primitives, **options, edge_skips=skips, outputs=outputs)
        images = torch.empty(IMAGES, 3, 33, 33)
        with Kept(network) as kept:
            logits = network(images)
    assert logits.requires_grad
    found = search_cost(primitives, nodes, shape, outputs=outputs)
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert kept.bytes / IMAGES == pytest.approx(found.training_bytes, rel=0.01)

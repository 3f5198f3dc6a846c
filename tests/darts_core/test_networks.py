from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from darts_core.genotypes import KNOWN, Genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.layout import Stem, least_auxiliary_image, stem_for
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_PRIMITIVES

# Published architectures at CIFAR size (36 channels, 20 cells, 10 classes): without and with the auxiliary head.
PARAMETERS = {
    "DARTS_V1": (3_169_414, 3_645_840),
    "DARTS_V2": (3_349_342, 3_825_768),
    "MMRAZOR_97_32": (2_946_286, 3_422_712),
    "PC_DARTS": (3_634_678, 4_111_104),
    "PADDLESLIM_PC_DARTS": (3_738_574, 4_215_000),
    "NASNet": (3_830_950, 4_288_944),
    "AmoebaNet": (3_145_078, 3_603_072),
}

# The same with the ImageNet stem (48 channels, 14 cells, 1000 classes).
IMAGENET_PARAMETERS = {
    "DARTS_V1": (4_510_432, 5_771_208),
    "DARTS_V2": (4_718_752, 5_979_528),
    "MMRAZOR_97_32": (4_289_152, 5_549_928),
    "PC_DARTS": (5_270_560, 6_531_336),
    "PADDLESLIM_PC_DARTS": (5_186_944, 6_447_720),
    "NASNet": (5_564_320, 6_800_520),
    "AmoebaNet": (4_627_360, 5_863_560),
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_known_genotype_has_exactly_the_published_number_of_parameters(name: str, auxiliary: bool) -> None:
    with torch.device("meta"):
        network = EvaluationNetwork(KNOWN[name], channels=36, layers=20, classes=10, auxiliary=auxiliary)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name][auxiliary]


@pytest.mark.parametrize("name", IMAGENET_PARAMETERS)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_known_genotype_has_the_published_parameters_with_the_imagenet_stem(name: str, auxiliary: bool) -> None:
    with torch.device("meta"):
        network = EvaluationNetwork(
            KNOWN[name], channels=48, layers=14, classes=1000, auxiliary=auxiliary, stem="imagenet"
        )
    assert sum(p.numel() for p in network.parameters()) == IMAGENET_PARAMETERS[name][auxiliary]


def test_imagenet_network_has_the_authors_keys() -> None:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=4, layers=6, classes=10, auxiliary=True, stem="imagenet")
    keys = network.state_dict().keys()
    assert {key.rpartition(".")[0] for key in keys if key.startswith(("stem", "auxiliary_head", "cells.0.prep"))} == {
        "stem0.0",
        "stem0.1",
        "stem0.3",
        "stem0.4",
        "stem1.1",
        "stem1.2",
        "cells.0.preprocess0.conv_1",
        "cells.0.preprocess0.conv_2",
        "cells.0.preprocess0.bn",
        "cells.0.preprocess1.op.1",
        "cells.0.preprocess1.op.2",
        "auxiliary_head.features.2",
        "auxiliary_head.features.3",
        "auxiliary_head.features.5",
        "auxiliary_head.classifier",
    }


@pytest.mark.parametrize("image", [224, 225])
def test_imagenet_network_classifies_with_both_heads(image: int) -> None:
    network = EvaluationNetwork(
        KNOWN["DARTS_V2"], channels=4, layers=3, classes=5, auxiliary=True, image_channels=1, stem="imagenet"
    )
    logits, auxiliary = network.train().with_auxiliary(torch.randn(2, 1, image, image))
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, 5)


@pytest.mark.parametrize("stem", get_args(Stem))
@pytest.mark.parametrize("name", PARAMETERS)
def test_known_genotype_classifies_images_of_odd_size(name: str, stem: Stem) -> None:
    network = EvaluationNetwork(KNOWN[name], channels=4, layers=3, classes=5, image_channels=1, stem=stem)
    assert network(torch.randn(2, 1, 9, 7)).shape == (2, 5)


@pytest.mark.parametrize("size", [(1, 1), (13, 8), (37, 50)])
@pytest.mark.parametrize("stem", get_args(Stem))
def test_search_network_classifies_images_of_any_size_behind_every_stem(size: tuple[int, int], stem: Stem) -> None:
    network = SearchNetwork(CNN_PRIMITIVES, channels=2, layers=3, classes=5, nodes=2, stem=stem)
    assert network(torch.randn(2, 3, *size)).shape == (2, 5)


@pytest.mark.parametrize("stem", get_args(Stem))
def test_auxiliary_head_fits_from_the_least_image_on_and_no_earlier(stem: Stem) -> None:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=2, layers=3, classes=2, auxiliary=True, stem=stem)
    least = least_auxiliary_image(stem)
    _, auxiliary = network.with_auxiliary(torch.randn(2, 3, least, least))
    assert auxiliary is not None
    with pytest.raises(RuntimeError):
        network.with_auxiliary(torch.randn(2, 3, least - 1, least - 1))


@pytest.mark.parametrize(
    ("image", "stem"), [(8, "cifar"), (32, "cifar"), (56, "cifar"), (57, "half"), (64, "half"), (128, "imagenet")]
)
def test_stem_follows_the_image_size(image: int, stem: Stem) -> None:
    assert stem_for(image) == stem


def test_evaluation_network_has_the_authors_keys() -> None:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=4, layers=6, classes=10, auxiliary=True)
    keys = network.state_dict().keys()
    expected = {
        "stem.0.weight",
        "stem.1.running_mean",
        "cells.1.preprocess0.op.1.weight",
        "cells.3.preprocess0.conv_1.weight",
        "cells.3.preprocess0.conv_2.weight",
        "cells.3.preprocess0.bn.weight",
        "cells.3._ops.2.op.1.weight",
        "cells.3._ops.0.op.6.weight",
        "auxiliary_head.features.2.weight",
        "auxiliary_head.features.6.running_var",
        "auxiliary_head.classifier.bias",
        "classifier.weight",
    }
    assert expected <= keys


def test_auxiliary_head_speaks_in_training_only() -> None:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=4, layers=3, classes=10, auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    _, auxiliary = network.train().with_auxiliary(images)
    assert auxiliary is not None
    assert auxiliary.shape == (2, 10)
    assert network.eval().with_auxiliary(images)[1] is None


def test_drop_path_reaches_every_edge_but_stride_one_identities() -> None:
    genotype = Genotype.of([["skip_connect", 0], ["sep_conv_3x3", 1]], [2], [["skip_connect", 0]] * 2, [2])
    network = EvaluationNetwork(genotype, channels=2, layers=3, classes=2)
    # Cell 0 is normal: one identity, one convolution. Cells 1 and 2 reduce: both skips are factorized reduces.
    assert [cell.paths for cell in network.cells] == [1, 2, 2]
    network.set_drop_path(0.5)
    images, lost = torch.randn(2, 3, 8, 8), torch.ones(5, 2)
    out: list[torch.Tensor] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _, __, found: out.append(found))
    network.with_auxiliary(images, lost)
    assert out[0].any()
    assert not out[1].any()
    assert not out[2].any()


def test_drop_path_is_of_training_alone_and_draws_nothing_at_zero() -> None:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=2, layers=1, classes=2)
    images, source = torch.randn(2, 3, 8, 8), torch.Generator().manual_seed(0)
    state = source.get_state()
    for probability, mode in ((0.9, False), (0.0, True)):
        network.set_drop_path(probability, source)
        network.train(mode)(images)
        assert torch.equal(source.get_state(), state)
    network.set_drop_path(0.9, source)
    network.train()(images)
    assert not torch.equal(source.get_state(), state)


def test_search_network_keeps_alphas_out_of_its_weights() -> None:
    network = SearchNetwork(CNN_PRIMITIVES, channels=2, layers=3, classes=10)
    weights = {id(p) for p in network.weights()}
    assert not weights & {id(a) for a in network.alphas.values()}
    assert not any("alpha" in key for key in network.state_dict())
    assert network.alphas["normal"].shape == network.alphas["reduce"].shape == (14, 8)


def test_alphas_follow_the_network_to_another_type() -> None:
    network = SearchNetwork(["skip_connect"], channels=2, layers=3, classes=2).double()
    assert network.alphas["normal"].dtype == torch.float64
    assert isinstance(network.alphas["normal"], nn.Parameter)


def test_mixed_edge_of_equal_alphas_is_the_mean_of_its_operations() -> None:
    network = SearchNetwork(["skip_connect", "none", "max_pool_3x3"], channels=2, layers=3, classes=2)
    cell: Any = network.cells[0]
    edge = cell._ops[0].eval()
    x = torch.randn(3, 2, 4, 4)
    mean = sum(op(x) for op in edge._ops) / 3
    torch.testing.assert_close(edge(x, torch.full((3,), 1 / 3)), mean)


@pytest.mark.parametrize("nodes", [1, 2, 6])
@pytest.mark.parametrize("image_channels", [1, 3])
def test_search_network_is_general_in_nodes_and_image_channels(nodes: int, image_channels: int) -> None:
    network = SearchNetwork(
        ["none", "sep_conv_3x3"], channels=2, layers=3, nodes=nodes, classes=4, image_channels=image_channels
    )
    assert network(torch.randn(2, image_channels, 5, 5)).shape == (2, 4)
    assert len(network.genotype().normal) == 2 * nodes


@pytest.mark.parametrize("reductions", [(), (0, 1)])
def test_search_network_works_without_one_kind_of_cell(reductions: tuple[int, ...]) -> None:
    network = SearchNetwork(["skip_connect"], channels=2, layers=2, classes=2, reductions=reductions)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 2)
    assert len(network.genotype().reduce) == 8

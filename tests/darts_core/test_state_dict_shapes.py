"""Keys and shapes by arithmetic are those of the network that is built."""

from __future__ import annotations

import pytest
import torch

from darts_core.files.state_dict_shapes import evaluation_shapes
from darts_core.files.state_dicts import Sizes, inferred
from darts_core.genotypes import KNOWN, random_genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.layout import Stem
from tests.support.darts_cells import parsed
from tests.support.sparse_cells import FAIR_DARTS

LAYOUTS = pytest.mark.parametrize(
    ("layers", "reductions"), [(1, None), (2, None), (5, None), (4, ()), (4, (1,)), (6, (0, 2, 5)), (20, None)]
)


@LAYOUTS
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_they_agree_and_the_sizes_are_inferred_from_them(
    layers: int, reductions: tuple[int, ...] | None, stem: Stem, auxiliary: bool
) -> None:
    for genotype in (*KNOWN.values(), random_genotype(layers), *map(parsed, FAIR_DARTS.values())):
        sizes = Sizes(6, layers, 7, auxiliary, stem, 2, reductions)
        with torch.device("meta"):
            network = EvaluationNetwork(
                genotype,
                channels=6,
                layers=layers,
                classes=7,
                auxiliary=auxiliary,
                image_channels=2,
                stem=stem,
                reductions=reductions,
            )
        built = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert list(evaluation_shapes(genotype, sizes).items()) == list(built.items())
        assert inferred(built, "x.pt") == sizes

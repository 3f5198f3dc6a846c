"""Finds the implementation of a spec's search method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.selection import PerturbationConfig
from darts_core.methods.beta_darts import BetaDarts
from darts_core.methods.darts_minus import DartsMinus
from darts_core.methods.drnas import DrNas
from darts_core.methods.drop_path import DropPathDarts
from darts_core.methods.fair_darts import FairDarts
from darts_core.methods.gdas import Gdas
from darts_core.methods.method import SearchMethod
from darts_core.methods.p_darts import PDarts
from darts_core.methods.pc_darts import PcDarts
from darts_core.methods.perturbation import Perturbation
from darts_core.methods.progressive_drnas import ProgressiveDrNas
from darts_core.methods.random_cell import RandomCell
from darts_core.methods.smooth_darts import AdversarialSmoothDarts, SmoothDarts
from darts_core.methods.snas import Snas
from darts_core.methods.weight_sharing import WeightSharing

IMPLEMENTATIONS: Final[Mapping[MethodName, type[SearchMethod]]] = {
    "darts": SearchMethod,
    "beta-darts": BetaDarts,
    "gdas": Gdas,
    "snas": Snas,
    "drnas": DrNas,
    "drnas-progressive": ProgressiveDrNas,
    "sdarts-rs": SmoothDarts,
    "sdarts-adv": AdversarialSmoothDarts,
    "darts-minus": DartsMinus,
    "pc-darts": PcDarts,
    "fair-darts": FairDarts,
    "p-darts": PDarts,
    "rsps": WeightSharing,
    # The spec's weight decay and the training loop make these of DARTS.
    "r-darts-l2": SearchMethod,
    "r-darts-dp": DropPathDarts,
    "r-darts-es": SearchMethod,
    "r-darts-ada": SearchMethod,
    "random": RandomCell,
}


def method_of(config: SearchConfig | RnnSearchConfig) -> SearchMethod:
    """The method of a resolved spec; a selection's wraps that of its search."""
    if isinstance(config, PerturbationConfig):
        return Perturbation(config, method_of(config.search()))
    return IMPLEMENTATIONS[config.method](config)

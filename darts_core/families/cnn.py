"""Convolutional cells, on images."""

from __future__ import annotations

from typing import Final

from darts_core.configs.ensemble import EnsembleConfig
from darts_core.configs.evaluation import EvaluationConfig, RetrainingConfig
from darts_core.configs.score import ScoreConfig, ScoringConfig
from darts_core.configs.search import SearchConfig
from darts_core.configs.selection import PerturbationConfig
from darts_core.data.catalogue import preset_of
from darts_core.families.family import NetworkFamily, Objective
from darts_core.genotypes import KNOWN, parse, to_json
from darts_core.presets.cnn import EVALUATION_PRESETS, SEARCH_PRESETS
from darts_core.spaces import SPACES
from darts_core.spaces.space import CELLS

CNN: Final = NetworkFamily(
    name="cnn",
    data="images",
    data_fields=("dataset_checksum",),
    example="digits",
    selection=Objective("validation_accuracy", "max"),
    reporting=Objective("test_accuracy", "max"),
    unit=" %",
    outputs="classes",
    checkpoint_fields=frozenset({"classes", "normalisation", "image"}),
    cells=CELLS,
    spaces={space.name: space for space in SPACES.values()},
    default_space="darts",
    known=KNOWN,
    search=SearchConfig,
    retraining=RetrainingConfig,
    evaluation=EvaluationConfig,
    selections={"perturbation": PerturbationConfig},
    scoring=ScoringConfig,
    measured={"score": ScoreConfig, "ensemble": EnsembleConfig},
    search_presets=SEARCH_PRESETS,
    evaluation_presets=EVALUATION_PRESETS,
    preset_of=preset_of,
    uploaded_checksum=lambda spec: spec.get("dataset_checksum"),
    has_validation=lambda spec, info: spec["train_portion"] < 1 or (info is not None and info.valid > 0),
    stored=lambda genotype: to_json(parse(genotype, "cnn")),
    to_json=to_json,
    runners={
        "search": "darts_core.training.search:run_search",
        "select-perturbation": "darts_core.training.perturbation:run_perturbation",
        "evaluation": "darts_core.training.evaluation:run_evaluation",
        "score": "darts_core.scoring.images:run_score",
        "ensemble": "darts_core.ensembles.images:run_ensemble",
    },
)

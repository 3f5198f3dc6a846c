"""Recurrent cells, on texts."""

from __future__ import annotations

from typing import Final

from darts_core.configs.rnn_ensemble import RnnEnsembleConfig
from darts_core.configs.rnn_evaluation import RnnEvaluationConfig, RnnRetrainingConfig
from darts_core.configs.rnn_score import RnnScoreConfig, RnnScoringConfig
from darts_core.configs.rnn_search import RnnSearchConfig
from darts_core.data.text.catalogue import is_uploaded_text, text_preset_of
from darts_core.families.family import NetworkFamily, Objective, Spec
from darts_core.genotypes import KNOWN_RECURRENT, parse, to_json
from darts_core.presets.rnn import RNN_EVALUATION_PRESETS, RNN_SEARCH_PRESETS
from darts_core.spaces import RECURRENT_SPACES


def _uploaded_checksum(spec: Spec) -> str | None:
    """The specs of published texts have a checksum, too."""
    return spec.get("text_checksum") if is_uploaded_text(spec["dataset"]) else None


RNN: Final = NetworkFamily(
    name="rnn",
    data="text",
    data_fields=("text_checksum", "text_version"),
    example="python-docs",
    selection=Objective("validation_perplexity", "min"),
    reporting=Objective("test_perplexity", "min"),
    unit="",
    outputs="vocabulary",
    checkpoint_fields=frozenset({"vocabulary"}),
    cells=("recurrent",),
    spaces=RECURRENT_SPACES,
    default_space="rnn",
    known=KNOWN_RECURRENT,
    search=RnnSearchConfig,
    retraining=RnnRetrainingConfig,
    evaluation=RnnEvaluationConfig,
    scoring=RnnScoringConfig,
    measured={"score": RnnScoreConfig, "ensemble": RnnEnsembleConfig},
    search_presets=RNN_SEARCH_PRESETS,
    evaluation_presets=RNN_EVALUATION_PRESETS,
    preset_of=text_preset_of,
    uploaded_checksum=_uploaded_checksum,
    has_validation=lambda spec, info: True,
    stored=lambda genotype: to_json(parse(genotype, "rnn")),
    to_json=to_json,
    runners={
        "search": "darts_core.training.rnn_search:run_rnn_search",
        "evaluation": "darts_core.training.rnn_evaluation:run_rnn_evaluation",
        "score": "darts_core.scoring.text:run_text_score",
        "ensemble": "darts_core.ensembles.texts:run_text_ensemble",
    },
)

"""A small text, and short runs on it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.models.recurrent.dropout import Masks
from darts_core.training import rnn_evaluation, rnn_search
from darts_core.training.texts import masks_of, measure_text
from tests.support.recurrent_runs import COMMON, WORDS, MakeEvaluation, MakeSearch


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    draw = random.Random(0)
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for part, count in (("train", 36), ("valid", 18), ("test", 18)):
        lines = (" ".join(draw.choices(WORDS, range(1, 11), k=draw.randint(2, 7))) for _ in range(count))
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def search_config() -> MakeSearch:
    return lambda **changes: RnnSearchConfig(**{**COMMON, "nodes": 2, "alpha_lr": 0.02, **changes}).resolved()


@pytest.fixture
def evaluation_config() -> MakeEvaluation:
    values = {
        **COMMON,
        "genotype": "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=[1, 2])",
        "test_batch_size": 2,
    }
    return lambda **changes: RnnEvaluationConfig(**{**values, **changes}).resolved()


@pytest.fixture
def worsening(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Validation losses that the loop is told, one a call, whatever the network says; the real ones at their end."""
    script: list[float] = []

    def told(*arguments: Any, **options: Any) -> float:
        return script.pop(0) if script else measure_text(*arguments, **options)

    monkeypatch.setattr(rnn_evaluation, "measure_text", told)
    return script


@pytest.fixture
def a_batch_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """(epoch): the second step of that epoch computes with a factor that is no number."""

    def spoil(spoilt: int) -> None:
        def masks(config: Any, network: Any, batch: int, *purpose: Any) -> Masks:
            drawn = masks_of(config, network, batch, *purpose)
            return drawn._replace(output=drawn.output * math.nan) if purpose[:2] == (spoilt, 1) else drawn

        monkeypatch.setattr(rnn_evaluation, "masks_of", masks)
        monkeypatch.setattr(rnn_search, "masks_of", masks)

    return spoil

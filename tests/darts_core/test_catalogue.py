"""Specs on a data set that the catalogue does not list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.catalogue import DatasetInfo
from darts_core.errors import ConfigError

pytestmark = pytest.mark.light

CHECKSUM = "ab" * 32
FLOWERS = DatasetInfo("flowers", 5, 24, 32, 3, train=80, valid=9, test=20, checksum=CHECKSUM)


def fields_refused(config: SearchConfig | EvaluationConfig, info: DatasetInfo | None) -> set[tuple[str | int, ...]]:
    with pytest.raises(ConfigError) as refused:
        config.resolved(info)
    return {problem.loc for problem in refused.value.problems}


def test_spec_on_an_uploaded_set_keeps_its_checksum_and_resolves_again_without_knowing_more() -> None:
    resolved = SearchConfig(dataset="flowers", batch_size=16).resolved(FLOWERS)
    assert resolved.dataset_checksum == CHECKSUM
    assert resolved.resolved() == resolved


def test_an_unknown_name_is_refused() -> None:
    assert fields_refused(SearchConfig(dataset="flowers"), None) == {("dataset",)}


def test_checksum_of_other_content_is_refused() -> None:
    config = SearchConfig(dataset="flowers", batch_size=16, dataset_checksum="cd" * 32)
    assert fields_refused(config, FLOWERS) == {("dataset_checksum",)}


@pytest.mark.parametrize("dataset", ["digits", "folder:flowers"])
def test_checksum_for_a_set_that_is_no_upload_is_refused(dataset: str) -> None:
    config = SearchConfig(dataset=dataset, dataset_checksum=CHECKSUM)
    assert fields_refused(config, None) == {("dataset_checksum",)}


@pytest.mark.parametrize(
    ("changes", "field"), [({"batch_size": 81}, "batch_size"), ({"batch_size": 8, "auxiliary": True}, "auxiliary")]
)
def test_a_spec_that_does_not_fit_an_uploaded_set_is_refused(changes: dict[str, Any], field: str) -> None:
    config = EvaluationConfig(dataset="flowers", genotype="DARTS", **changes)
    assert fields_refused(config, FLOWERS) == {(field,)}


def test_images_too_small_for_the_auxiliary_head_go_without_it_unless_it_is_asked_for() -> None:
    assert not EvaluationConfig(dataset="fashion-mnist", genotype="DARTS").resolved().auxiliary
    assert EvaluationConfig(dataset="cifar10", genotype="DARTS").resolved().auxiliary


def test_set_with_validation_images_of_its_own_is_trained_on_whole() -> None:
    config = EvaluationConfig(dataset="flowers", genotype="DARTS", batch_size=8, preset="digits")
    assert config.resolved(FLOWERS).train_portion == 1.0


@pytest.mark.parametrize(
    ("train", "search", "evaluation"), [(86, 8, 16), (150, 64, 96), (128, 64, 96), (127, 8, 96), (9, 2, 2)]
)
def test_a_preset_s_batch_fits_a_small_data_set(train: int, search: int, evaluation: int) -> None:
    few = replace(FLOWERS, train=train)
    assert SearchConfig(dataset="flowers").resolved(few).batch_size == search
    assert EvaluationConfig(dataset="flowers", genotype="DARTS").resolved(few).batch_size == evaluation
    assert SearchConfig(dataset="flowers", batch_size=4).resolved(few).batch_size == 4


def test_a_data_set_without_a_batch_for_the_alphas_is_refused() -> None:
    assert fields_refused(SearchConfig(dataset="flowers"), replace(FLOWERS, train=3)) == {("batch_size",)}

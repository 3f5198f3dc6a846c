"""A worker's settings from the environment."""

import pytest
from pydantic import ValidationError

from worker.settings import WorkerSettings

pytestmark = pytest.mark.light


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTBOARD_WORKER_KEY", "k" * 16)


@pytest.mark.parametrize(
    ("variables", "pools"),
    [
        ({}, ["default"]),
        ({"DARTBOARD_POOL": "gpu"}, ["gpu"]),
        ({"DARTBOARD_POOLS": "gpu, big,gpu"}, ["big", "gpu"]),
        ({"DARTBOARD_POOLS": "gpu,big", "DARTBOARD_POOL": "cpu"}, ["big", "gpu"]),
    ],
)
def test_a_worker_serves_the_pools_that_its_environment_names(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], pools: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert WorkerSettings().pools == pools


def test_a_name_that_no_pool_can_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTBOARD_POOLS", "gpu,,big")
    with pytest.raises(ValidationError, match="DARTBOARD_POOLS"):
        WorkerSettings()

"""Search spaces through the service: their list, and a search in each of them."""

from __future__ import annotations

import json

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.spaces import SpaceOut
from client.cli import app
from client.sdk import Dartboard
from darts_core.families import CNN, RNN
from darts_core.spaces import SPACES
from tests.support.service import Bench
from tests.support.simulated_worker import STUDY


@pytest.fixture
def spaces(dartboard: Dartboard) -> dict[str, SpaceOut]:
    return {space.name: space for space in dartboard.spaces()}


def test_the_spaces_of_both_families_are_listed_as_in_the_registry(spaces: dict[str, SpaceOut]) -> None:
    assert {name: space.family for name, space in spaces.items()} == {
        name: family.name for family in (CNN, RNN) for name in family.spaces
    }
    for name, space in {**CNN.spaces, **RNN.spaces}.items():
        found = spaces[name]
        assert (found.title, found.source, found.summary) == (space.title, space.source, space.summary)
        assert (found.nodes, found.primitives, found.cells) == (space.nodes, [*space.primitives], [*space.cells])
        assert (found.outputs, found.edge_skips) == (space.outputs, space.edge_skips)
        assert found.edges == {kind: [[*names] for names in lists] for kind, lists in space.edges.items()}


def test_a_space_lists_its_sizes_and_the_preset_that_it_has_for_itself(spaces: dict[str, SpaceOut]) -> None:
    def sizes(name: str) -> tuple[int | None, ...]:
        return spaces[name].nodes, spaces[name].channels, spaces[name].layers

    assert sizes("darts") == (None, None, None)
    assert sizes("bench-deep") == (None, 7, 18)
    assert sizes("bench-single-cell") == (8, 26, 1)
    assert sizes("nasbench201") == (3, 16, 15)
    assert [name for name, space in spaces.items() if space.presets] == ["nasbench201"]
    assert {"cifar10@nasbench201", "cifar10@gdas@nasbench201"} <= {*spaces["nasbench201"].presets}


def test_only_edges_that_differ_are_listed(spaces: dict[str, SpaceOut]) -> None:
    assert [name for name, space in spaces.items() if space.edges] == ["s1"]
    assert {kind: len(lists) for kind, lists in spaces["s1"].edges.items()} == {"normal": 14, "reduce": 14}


@pytest.mark.parametrize("name", SPACES)
def test_a_search_takes_the_listed_operations_and_sizes(bench: Bench, spaces: dict[str, SpaceOut], name: str) -> None:
    spec = bench.submit(space=name).spec
    assert spec["primitives"] == spaces[name].primitives
    for size in ("nodes", "channels", "layers"):
        assert getattr(spaces[name], size) in (None, spec[size])


def test_a_retraining_takes_the_skip_connections_of_its_search(http: httpx.Client, bench: Bench) -> None:
    search = bench.submit(space="bench-wide-all-skip", epochs=1)
    training = bench.claim()
    training.report(1)
    training.finish()
    cell = http.get(f"/searches/{search.id}/genotype").json()
    body = {"search_id": str(search.id), "pool": bench.pool}
    for given, expected in (({}, True), ({"edge_skips": False}, False)):
        job = bench.dartboard.submit("evaluation", {**body, **given})
        assert job.spec["edge_skips"] == expected
        sizes = http.get("/compare", params={"ids": f"{job.id},{search.id}"}).json()["jobs"]
        assert (sizes[0]["parameters"] == cell["parameters"]) == expected
    by_hand = bench.dartboard.submit("evaluation", {"genotype": "DARTS_V2", "dataset": "digits", "pool": bench.pool})
    assert not by_hand.spec["edge_skips"]


def test_each_point_of_a_study_retrains_with_the_skip_connections_of_its_space(http: httpx.Client, pool: str) -> None:
    names = ["bench-wide", "bench-wide-all-skip"]
    answer = http.post("/studies", json={**STUDY, "grid": {"space": names}, "pool": pool})
    assert answer.status_code == 201, answer.text
    points = answer.json()["spec"]["points"]
    assert [point[part]["edge_skips"] for point in points for part in ("short_retrain", "final")] == [
        False,
        False,
        True,
        True,
    ]


def test_an_unknown_space_is_refused_with_those_of_the_list(http: httpx.Client, spaces: dict[str, SpaceOut]) -> None:
    for family in (CNN, RNN):
        answer = http.post("/searches", json={"dataset": family.example, "family": family.name, "space": "dart"})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["loc"] == ["body", "space"]
        assert error["msg"].endswith(f"allowed: {', '.join(error['allowed'])}")
        assert error["allowed"] == [name for name, space in spaces.items() if space.family == family.name]


def test_the_command_lists_the_spaces(http: httpx.Client, spaces: dict[str, SpaceOut]) -> None:
    shown, printed = (
        CliRunner().invoke(app, ["spaces", option, "--url", str(http.base_url)]) for option in ("--wide", "--json")
    )
    assert shown.exit_code == printed.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert list(lines) == ["space", *spaces]
    assert "cifar10@nasbench201" in lines["nasbench201"]
    assert "none, skip_connect, nor_conv_1x1" in lines["nasbench201"]
    assert "(not all on each edge)" in lines["s1"]
    assert "(and a skip-connection besides)" in lines["bench-deep-all-skip"]
    assert json.loads(printed.stdout) == {"items": [space.model_dump(mode="json") for space in spaces.values()]}


def test_openapi_describes_the_list(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    answer = document["paths"]["/spaces"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/SpaceList"}
    assert set(document["components"]["schemas"]["SpaceOut"]["required"]) == set(SpaceOut.model_fields)

"""A search whose genotype is sparse: every answer that shows it, and its retraining."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from api.schemas.worker import EpochReport
from client.cli import app
from darts_core.configs import SearchConfig
from darts_core.genotypes import Genotype, parse, to_json
from darts_core.methods.registry import method_of
from darts_core.primitives import edges_of
from tests.support.service import Bench


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Alphas of a FairDARTS search, of which few are above the threshold, their strengths and the cell."""
    config = SearchConfig(dataset="digits", method="fair-darts").resolved()
    method, generator = method_of(config), torch.Generator().manual_seed(0)
    tables = {kind: torch.randn(edges_of(4), 7, generator=generator) for kind in ("normal", "reduce")}
    assert config.primitives is not None
    cell = method.genotype(tables, tuple(config.primitives))
    assert isinstance(cell, Genotype)
    assert cell.is_sparse
    return {
        "alphas": {kind: table.tolist() for kind, table in tables.items()},
        "strengths": method.strengths(tables),
        "genotype": to_json(cell),
    }


@pytest.fixture
def search(bench: Bench, found: dict[str, Any]) -> str:
    """A search by FairDARTS after its only epoch."""
    job = bench.submit(method="fair-darts", epochs=1)
    training = bench.claim()
    path = training.folder / "epoch-1.pt"
    path.write_bytes(b"checkpoint")
    report = {"n": training.number(), "epoch": 1, "metrics": {}, "seconds": 1.0, "checkpoint": path.name, **found}
    training.attempt.report_epoch(EpochReport(**report, sha256=training.attempt.upload(path).sha256))
    training.finish()
    return str(job.id)


def test_its_genotype_is_served_in_every_format_that_can_carry_it(
    http: httpx.Client, search: str, found: dict[str, Any]
) -> None:
    cell = parse(found["genotype"])
    assert isinstance(cell, Genotype)
    answers = {
        name: http.get(f"/searches/{search}/genotype?format={name}")
        for name in ("json", "python", "dot", "svg", "mmrazor")
    }
    assert parse(answers["json"].json()) == parse(answers["python"].text) == cell
    assert answers["json"].json()["normal"] == found["genotype"]["normal"]
    assert answers["json"].json()["parameters"] > 0
    dot = answers["dot"].text
    assert all(f'normal_{source} -> normal_{node} [label="{op}"]' in dot for op, node, source in cell.normal)  # type: ignore[misc]
    assert answers["svg"].text.startswith("<svg")
    assert answers["mmrazor"].status_code == 422
    assert re.search(r"(normal|reduce): node \d keeps [01] of the two edges", answers["mmrazor"].text)


def test_its_pictures_have_each_kept_edge_with_its_sigmoid(
    http: httpx.Client, search: str, found: dict[str, Any], tmp_path: Path
) -> None:
    svg = http.get(f"/searches/{search}/cells/normal.svg").text
    kept = found["genotype"]["normal"]
    shown = re.findall(r"<title>node (\d): (\w+) of [^<]*\(weight ([\d.]+)\)", svg)
    assert sorted((op, int(node)) for node, op, _ in shown) == sorted((op, node) for op, node, _ in kept)
    assert {float(weight) <= 1 for *_, weight in shown} == {True}
    assert http.get(f"/searches/{search}/progress.gif").status_code == 200
    result = CliRunner().invoke(app, ["draw", search, "-o", str(tmp_path / "cell.gif"), "--url", str(http.base_url)])
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "cell.gif").format == "GIF"


def test_it_has_no_other_rank(http: httpx.Client, search: str, found: dict[str, Any]) -> None:
    assert parse(http.get(f"/searches/{search}/genotype?rank=1").json()) == parse(found["genotype"])
    refused = http.get(f"/searches/{search}/genotype?rank=2")
    assert refused.status_code == 422
    assert "kept by a threshold" in refused.text


def test_commands_show_it(http: httpx.Client, search: str, found: dict[str, Any]) -> None:
    def called(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--url", str(http.base_url)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert parse(called("genotype", search)) == parse(found["genotype"])
    events = [json.loads(line) for line in called("watch", search, "--json").splitlines()]
    assert [e["data"]["strengths"] for e in events if e["event"] == "epoch"] == [found["strengths"]]
    called("watch", search)
    called("epochs", search)


def test_it_is_compared_node_by_node(http: httpx.Client, bench: Bench, search: str, found: dict[str, Any]) -> None:
    other = bench.submit(epochs=1)
    answer = http.get("/compare", params={"ids": [search, str(other.id)]})
    assert answer.status_code == 200, answer.text
    nodes = {(row["cell"], row["node"]) for row in answer.json()["cells"]}
    assert nodes == {(kind, node) for kind in ("normal", "reduce") for _, node, _ in found["genotype"][kind]}


def test_its_cell_is_retrained(http: httpx.Client, bench: Bench, search: str, found: dict[str, Any]) -> None:
    body = {"dataset": "digits", "search_id": search, "pool": bench.pool}
    made = http.post("/evaluations", json=body)
    assert made.status_code == 201, made.text
    assert parse(made.json()["spec"]["genotype"]) == parse(found["genotype"])

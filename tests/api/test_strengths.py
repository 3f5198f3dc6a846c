"""Operation strengths that are not the softmax of the alphas, in everything that shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from api.schemas.worker import EpochReport
from client.cli import app
from client.events import EpochEvent
from darts_core.configs import SearchConfig
from darts_core.genotypes import parse, ranked, softmaxed, strengths_of, to_json
from darts_core.methods.registry import method_of
from darts_core.primitives import CNN_PRIMITIVES, edges_of
from tests.support.service import Bench

Tables = dict[str, list[list[float]]]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Alphas of a DrNAS search, their strengths and the cell."""
    method = method_of(SearchConfig(dataset="digits", method="drnas", nodes=2).resolved())
    generator = torch.Generator().manual_seed(0)
    tables = {
        kind: torch.randn(edges_of(2), len(CNN_PRIMITIVES), generator=generator) * 2 for kind in ("normal", "reduce")
    }
    return {
        "alphas": {kind: table.tolist() for kind, table in tables.items()},
        "strengths": method.strengths(tables),
        "genotype": to_json(method.genotype(tables, CNN_PRIMITIVES)),
    }


@pytest.fixture
def search(bench: Bench, found: dict[str, Any]) -> str:
    """A search by DrNAS after its only epoch."""
    job = bench.submit(method="drnas", nodes=2, epochs=1)
    training = bench.claim()
    path = training.folder / "epoch-1.pt"
    path.write_bytes(b"checkpoint")
    report = {"n": training.number(), "epoch": 1, "metrics": {}, "seconds": 1.0, "checkpoint": path.name, **found}
    training.attempt.report_epoch(EpochReport(**report, sha256=training.attempt.upload(path).sha256))
    training.finish()
    return str(job.id)


def weights(svg: str) -> set[str]:
    """The weights that a picture names."""
    titles = [title.text or "" for title in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    return {match[1] for title in titles if (match := re.search(r"\(weight ([\d.]+)\)", title))}


def kept(tables: Tables, genotype: Any) -> set[str]:
    """The weights of a cell's operations in these tables."""
    cell = parse(genotype)
    return {
        f"{tables[kind][edges_of(place // 2) + edge.source][CNN_PRIMITIVES.index(edge.op)]:.2f}"
        for kind in ("normal", "reduce")
        for place, edge in enumerate(getattr(cell, kind))
    }


def test_epochs_events_and_alphas_hold_the_strengths(
    bench: Bench, http: httpx.Client, search: str, found: dict[str, Any]
) -> None:
    strengths = found["strengths"]
    assert strengths != softmaxed(found["alphas"])
    [epoch] = bench.dartboard.epochs(search)
    assert (epoch.alphas, epoch.strengths) == (found["alphas"], strengths)
    [event] = [event for event in bench.dartboard.follow(search) if isinstance(event, EpochEvent)]
    assert event.data["strengths"] == event.strengths == strengths
    assert bench.dartboard.alphas(search).weights == strengths
    answer = http.get(f"/searches/{search}/alphas").json()
    assert (answer["normal"], answer["weights"]) == (found["alphas"]["normal"], strengths)


def test_pictures_show_the_strengths(http: httpx.Client, search: str, found: dict[str, Any]) -> None:
    shown = kept(found["strengths"], found["genotype"])
    assert shown != kept(softmaxed(found["alphas"]), found["genotype"])
    assert weights(http.get(f"/searches/{search}/genotype?format=svg").text) == shown
    of_cells = [weights(http.get(f"/searches/{search}/cells/{cell}.svg").text) for cell in ("normal", "reduce")]
    assert set.union(*of_cells) == shown
    assert http.get(f"/searches/{search}/progress.gif").status_code == 200


def test_commands_show_the_strengths(http: httpx.Client, search: str, found: dict[str, Any], tmp_path: Path) -> None:
    def called(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--url", str(http.base_url)])
        assert result.exit_code == 0, result.output
        return result.stdout

    called("draw", search, "-o", str(tmp_path / "cell.svg"))
    assert weights((tmp_path / "cell.svg").read_text()) == kept(found["strengths"], found["genotype"])
    called("draw", search, "-o", str(tmp_path / "cell.gif"))
    assert Image.open(tmp_path / "cell.gif").format == "GIF"
    events = [json.loads(line) for line in called("watch", search, "--json").splitlines()]
    [told] = [event["data"]["strengths"] for event in events if event["event"] == "epoch"]
    assert told == found["strengths"]


@pytest.mark.parametrize("query", [{"rank": 1}, {"rank": 2}, {"rank": 7}, {"max_skip_connects": 0}])
def test_genotypes_are_ranked_by_the_strengths(
    http: httpx.Client, search: str, found: dict[str, Any], query: dict[str, Any]
) -> None:
    served = http.get(f"/searches/{search}/genotype", params=query).json()
    derived = parse(found["genotype"])
    assert parse(served["text"]) == ranked(found["strengths"], CNN_PRIMITIVES, derived=derived, **query)


def test_an_epoch_that_a_worker_reports_without_strengths_shows_the_softmax_of_its_alphas(
    bench: Bench,
) -> None:
    job = bench.submit(epochs=1)
    training = bench.claim()
    alphas = {"normal": [[0.5, 0.25]], "reduce": [[0.0, 1.0]], "reduce_edges": [[2.0]]}
    training.report(1, alphas=alphas)
    training.finish()
    [epoch] = bench.dartboard.epochs(job.id)
    [event] = [event for event in bench.dartboard.follow(job) if isinstance(event, EpochEvent)]
    shown = bench.dartboard.alphas(job.id)
    assert epoch.alphas == alphas
    assert epoch.strengths == strengths_of(alphas, None)
    assert event.data["strengths"] == shown.weights == epoch.strengths
    assert epoch.strengths is not None
    assert epoch.strengths.keys() == {"normal", "reduce"}
    assert shown.model_dump()["reduce_edges"] == [[2.0]]


def test_an_evaluation_has_no_strengths(bench: Bench) -> None:
    body = {"genotype": "DARTS_V2", "dataset": "digits", "epochs": 1, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    path = training.folder / "epoch-1.pt"
    path.write_bytes(b"checkpoint")
    sha256 = training.attempt.upload(path).sha256
    training.attempt.report_epoch(
        EpochReport(n=training.number(), epoch=1, metrics={}, seconds=1.0, checkpoint=path.name, sha256=sha256)
    )
    [epoch] = bench.dartboard.epochs(job.id)
    assert (epoch.alphas, epoch.strengths) == (None, None)

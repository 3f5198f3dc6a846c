"""Searches and evaluations of recurrent cells through the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.schemas.worker import EpochReport
from darts_core.genotypes import KNOWN_RECURRENT, to_json
from darts_core.primitives import RNN_PRIMITIVES
from tests.support.service import Bench, SimulatedAttempt

ALPHAS = [[0.1 * column for column in range(5)] for _ in range(36)]


def report(training: SimulatedAttempt, epoch: int, perplexity: float) -> None:
    path = training.folder / f"epoch-{epoch}.pt"
    path.write_bytes(b"checkpoint")
    training.attempt.report_epoch(
        EpochReport(
            n=training.number(),
            epoch=epoch,
            metrics={"validation_perplexity": perplexity},
            seconds=1.0,
            genotype=to_json(KNOWN_RECURRENT["DARTS_V1"]),
            alphas={"recurrent": ALPHAS},
            checkpoint=path.name,
            sha256=training.attempt.upload(path).sha256,
        )
    )


@pytest.fixture
def searched(bench: Bench) -> str:
    """A search of two epochs, the first of which is the better one."""
    job = bench.dartboard.submit("search", {"family": "rnn", "dataset": "python-docs", "epochs": 2, "pool": bench.pool})
    training = bench.claim()
    report(training, 1, perplexity=90.0)
    report(training, 2, perplexity=95.0)
    training.finish()
    return str(job.id)


def test_search_of_a_recurrent_cell_is_resolved_with_the_text_it_is_made_for(http: httpx.Client) -> None:
    answer = http.post("/searches", json={"family": "rnn", "dataset": "python-docs", "pool": "unserved", "nodes": 3})
    spec = answer.json()["spec"]
    assert answer.status_code == 201
    assert (spec["family"], spec["preset"], spec["nodes"]) == ("rnn", "python-docs", 3)
    assert spec["primitives"] == list(RNN_PRIMITIVES)
    assert len(spec["text_checksum"]) == 64
    assert spec["text_version"].startswith("CPython 3.")


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"dataset": "cifar10"}, "dataset", "known: python-docs, ptb, wikitext-2"),
        ({"dataset": "ptb", "channels": 16}, "channels", "unknown field"),
        ({"dataset": "ptb", "nodes": 13}, "nodes", "less than or equal to 12"),
        ({"dataset": "ptb", "primitives": ["skip_connect"]}, "primitives", "tanh"),
        ({"dataset": "ptb", "preset": "cifar10"}, "preset", "known: ptb, python-docs"),
        ({"dataset": "ptb", "gpus": 2}, "gpus", "recurrent cells train on one GPU"),
    ],
)
def test_bad_search_is_refused_by_the_field_as_the_body_has_it(
    http: httpx.Client, body: dict[str, Any], field: str, says: str
) -> None:
    answer = http.post("/searches", json={"family": "rnn", **body})
    assert answer.status_code == 422
    found = [e for e in answer.json()["errors"] if e["loc"][:2] == ["body", field]]
    assert found, answer.json()
    assert says in " ".join(e["msg"] for e in found)


def test_genotype_comes_in_every_format_but_mmrazor(http: httpx.Client, searched: str) -> None:
    found = http.get(f"/searches/{searched}/genotype").json()
    assert found["family"] == "rnn"
    assert found["recurrent"] == [list(e) for e in KNOWN_RECURRENT["DARTS_V1"].recurrent]
    assert found["concat"] == list(range(1, 9))
    assert found["parameters"] > 0
    assert not {"normal", "reduce"} & found.keys()
    python = http.get(f"/searches/{searched}/genotype", params={"format": "python"})
    assert python.text.startswith("Genotype(recurrent=[('relu', 0)")
    assert "recurrent_out" in http.get(f"/searches/{searched}/genotype", params={"format": "dot"}).text
    refused = http.get(f"/searches/{searched}/genotype", params={"format": "mmrazor"})
    assert refused.status_code == 422
    assert "are of convolutional cells" in refused.json()["detail"]


def test_epochs_carry_one_alpha_table_and_the_lowest_perplexity_is_the_best(http: httpx.Client, searched: str) -> None:
    epochs = http.get(f"/searches/{searched}/epochs").json()["items"]
    assert [e["alphas"] for e in epochs] == [{"recurrent": ALPHAS}] * 2
    assert http.get(f"/searches/{searched}").json()["best"]["epoch"] == 1
    alphas = http.get(f"/searches/{searched}/alphas").json()
    assert alphas["recurrent"] == ALPHAS
    assert alphas["weights"].keys() == {"recurrent"}
    assert "normal" not in alphas


def test_evaluation_takes_cell_and_text_of_a_search(http: httpx.Client, searched: str) -> None:
    body = {"family": "rnn", "search_id": searched, "pool": "unserved", "epochs": 1}
    spec = http.post("/evaluations", json=body).json()["spec"]
    assert spec["genotype"]["recurrent"] == [list(e) for e in KNOWN_RECURRENT["DARTS_V1"].recurrent]
    search = http.get(f"/searches/{searched}").json()["spec"]
    assert (spec["dataset"], spec["text_checksum"]) == ("python-docs", search["text_checksum"])


def test_evaluation_of_another_family_than_its_search_is_refused(http: httpx.Client, searched: str) -> None:
    answer = http.post("/evaluations", json={"search_id": searched})
    assert answer.status_code == 422
    assert "the search is of family 'rnn'" in answer.json()["detail"]


def test_evaluation_of_a_known_recurrent_cell(http: httpx.Client) -> None:
    body = {"family": "rnn", "dataset": "ptb", "genotype": "ENAS", "pool": "unserved"}
    answer = http.post("/evaluations", json=body)
    assert answer.status_code == 201
    assert len(answer.json()["spec"]["genotype"]["recurrent"]) == 11
    refused = http.post("/evaluations", json={**body, "genotype": "NASNet"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == ["body", "genotype"]


def test_known_recurrent_genotypes_are_found_by_family(http: httpx.Client) -> None:
    found = http.get("/genotypes/DARTS_V2", params={"family": "rnn", "preset": "wt2"}).json()
    assert (found["family"], found["parameters"]) == ("rnn", 33_127_878)
    assert http.get("/genotypes/DARTS_V2").json()["family"] == "cnn"
    assert http.get("/genotypes/NASNet", params={"family": "rnn"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/searches/{job_id}/genotype", {"": "normal", "Recurrent": "recurrent", "NasBench201": "cell"}),
        ("/genotypes/{name}", {"": "reduce_concat", "Recurrent": "concat", "NasBench201": "cell"}),
        ("/searches/{job_id}/alphas", {"": "normal", "Recurrent": "recurrent", "NasBench201": "cell"}),
    ],
)
def test_openapi_shows_the_fields_of_each_family(http: httpx.Client, path: str, fields: dict[str, str]) -> None:
    model = "AlphasOut" if path.endswith("alphas") else "GenotypeOut"
    models = {f"{family}{model}": field for family, field in fields.items()}
    document = http.get("/openapi.json").json()
    answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert {choice["$ref"].rpartition("/")[2] for choice in answer["oneOf"]} == set(models)
    for model, field in models.items():
        assert field in document["components"]["schemas"][model]["required"]

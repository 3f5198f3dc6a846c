from typing import Any
from uuid import uuid4

import httpx
import pytest

from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, parse, to_python
from tests.support.service import Bench
from tests.support.sparse_cells import FAIR_DARTS


def test_every_published_genotype_is_served_and_parses_back(http: httpx.Client) -> None:
    assert http.get("/genotypes").json()["items"][: len(KNOWN)] == list(KNOWN)
    for name, genotype in KNOWN.items():
        assert parse(http.get(f"/genotypes/{name}").json()) == genotype
        assert parse(http.get(f"/genotypes/{name}?format=python").text) == genotype


@pytest.mark.parametrize(
    ("preset", "parameters", "with_auxiliary", "millions"),
    [("cifar10", 3_349_342, 3_825_768, 528.359), ("imagenet", 4_718_752, 5_979_528, 529.912)],
)
def test_the_served_counts_are_the_published_ones(
    http: httpx.Client, preset: str, parameters: int, with_auxiliary: int, millions: float
) -> None:
    served = http.get(f"/genotypes/DARTS_V2?preset={preset}").json()
    assert (served["parameters"], served["parameters_with_auxiliary"]) == (parameters, with_auxiliary)
    assert round(served["multiply_adds"] / 1e6, 3) == millions


def test_the_served_cells_add_up_to_less_than_the_network(http: httpx.Client) -> None:
    served = http.get("/genotypes/DARTS_V2").json()
    assert [cell["kind"] for cell in served["cells"]].count("reduce") == 2
    assert len(served["cells"]) == 20
    for figure in ("parameters", "multiply_adds", "activation_bytes", "training_bytes"):
        inside = sum(cell[figure] for cell in served["cells"])
        assert 0.9 * served[figure] < inside < served[figure]


def test_the_format_is_chosen_by_query_or_accept(http: httpx.Client) -> None:
    yaml = http.get("/genotypes/DARTS_V2?format=mmrazor")
    assert yaml.headers["Content-Type"].startswith("application/yaml")
    assert parse(yaml.text) == KNOWN["DARTS_V2"]
    python = http.get("/genotypes/DARTS_V2", headers={"Accept": "text/x-python"})
    assert python.text.startswith("Genotype(")
    assert http.get("/genotypes/DARTS_V2?format=dot").text.startswith("digraph")
    assert http.get("/genotypes/DARTS_V2?format=tikz").status_code == 422


def test_a_genotype_outside_a_format_is_422_and_an_unknown_name_404(http: httpx.Client) -> None:
    assert http.get("/genotypes/NASNet?format=mmrazor").status_code == 422
    unknown = http.get("/genotypes/DARTS_V9")
    assert unknown.status_code == 404
    assert "DARTS_V2" in unknown.json()["detail"]


def test_a_searchs_genotype_has_the_counts_of_its_evaluation_network(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit()
    bench.claim().report(1)
    served = http.get(f"/searches/{job.id}/genotype").json()
    assert served["parameters"] > 10_000
    assert served["multiply_adds"] > served["parameters"]
    assert served["epoch"] == 1


MINE = to_python(KNOWN["DARTS_V1"])


def _name() -> str:
    return f"mine-{uuid4().hex[:8]}"


def test_a_registered_genotype_is_served_and_trained_under_its_name(bench: Bench, http: httpx.Client) -> None:
    name = _name()
    made = http.post("/genotypes", json={"name": name, "genotype": MINE})
    assert made.status_code == 201
    assert made.headers["Location"] == f"/genotypes/{name}"
    assert made.json()["parameters"] == 3_169_414
    assert name in http.get("/genotypes").json()["items"]
    assert parse(http.get(f"/genotypes/{name}?format=python").text) == KNOWN["DARTS_V1"]
    body = {"dataset": "digits", "genotype": name, "pool": bench.pool}
    spec = http.post("/evaluations", json=body).json()["spec"]
    assert parse(spec["genotype"]) == KNOWN["DARTS_V1"]


def test_a_name_keeps_its_genotype(http: httpx.Client) -> None:
    name = _name()
    http.post("/genotypes", json={"name": name, "genotype": MINE})
    assert http.post("/genotypes", json={"name": name, "genotype": MINE}).status_code == 200
    assert http.post("/genotypes", json={"name": name, "genotype": "DARTS_V2"}).status_code == 409
    assert http.post("/genotypes", json={"name": "DARTS_V2", "genotype": MINE}).status_code == 409


def test_a_deleted_name_is_unknown_and_a_published_one_stays(http: httpx.Client) -> None:
    name = _name()
    http.post("/genotypes", json={"name": name, "genotype": MINE})
    assert http.delete(f"/genotypes/{name}").status_code == 204
    assert http.get(f"/genotypes/{name}").status_code == 404
    assert http.delete(f"/genotypes/{name}").status_code == 404
    assert http.delete("/genotypes/DARTS_V2").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "../x", "genotype": MINE}, "name"),
        ({"name": "", "genotype": MINE}, "name"),
        ({"name": "fine", "genotype": "Genotype(normal=[('sep_conv_9x9', 0)])"}, "genotype"),
        ({"name": "fine", "genotype": 7}, "genotype"),
        ({"name": "fine", "genotype": MINE, "colour": "red"}, "colour"),
    ],
)
def test_an_illegal_registration_is_refused_by_field(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    refused = http.post("/genotypes", json=body)
    assert refused.status_code == 422
    assert any(field in map(str, error["loc"]) for error in refused.json()["errors"])


RECURRENT = "rnn/genotypes.py\nMINE = Genotype(recurrent=[('tanh', 0), ('relu', 1)], concat=range(1, 3))"


def test_a_recurrent_cell_is_registered_and_trained_under_its_name(bench: Bench, http: httpx.Client) -> None:
    name = _name()
    made = http.post("/genotypes", json={"name": name, "genotype": RECURRENT})
    assert made.status_code == 201, made.text
    cell = parse(RECURRENT, "rnn")
    assert (made.json()["family"], made.json()["text"]) == ("rnn", str(cell))
    for query in ("", "?family=rnn"):
        assert parse(http.get(f"/genotypes/{name}{query}").json()["text"], "rnn") == cell
    assert http.get(f"/genotypes/{name}?family=cnn").status_code == 404
    assert name in http.get("/genotypes?family=rnn").json()["items"]
    assert name not in http.get("/genotypes?family=cnn").json()["items"]
    assert http.post("/genotypes", json={"name": name, "genotype": RECURRENT}).status_code == 200
    body = {"family": "rnn", "dataset": "python-docs", "genotype": name, "pool": bench.pool}
    spec = http.post("/evaluations", json=body).json()["spec"]
    assert parse(spec["genotype"], "rnn") == cell
    refused = http.post("/evaluations", json={"dataset": "digits", "genotype": name})
    assert refused.status_code == 422
    assert "family 'rnn'" in refused.json()["detail"]


def test_a_name_of_both_families_is_registered_as_the_one_that_is_asked_for(http: httpx.Client) -> None:
    for family, cell in (("cnn", KNOWN["DARTS_V2"]), ("rnn", KNOWN_RECURRENT["DARTS_V2"])):
        made = http.post("/genotypes", json={"name": _name(), "genotype": "DARTS_V2", "family": family})
        assert made.json()["text"] == str(cell)
    assert http.get("/genotypes/ENAS").json()["family"] == "rnn"


def test_several_cells_in_one_text_are_refused_with_their_names(http: httpx.Client) -> None:
    text = f"ONE = {MINE}\nTWO = {to_python(KNOWN['DARTS_V2'])}"
    refused = http.post("/genotypes", json={"name": _name(), "genotype": text})
    assert refused.status_code == 422
    assert "ONE (line 1), TWO (line 2)" in refused.json()["detail"]


def test_an_unknown_name_in_an_evaluation_is_422(http: httpx.Client) -> None:
    assert http.post("/evaluations", json={"dataset": "digits", "genotype": "nobodys"}).status_code == 422


def test_a_sparse_genotype_is_registered_served_and_trained(bench: Bench, http: httpx.Client) -> None:
    name, sparse = _name(), parse(FAIR_DARTS["a"])
    assert http.post("/genotypes", json={"name": name, "genotype": FAIR_DARTS["a"]}).status_code == 201
    served = http.get(f"/genotypes/{name}").json()
    assert served["normal"][2] == ["max_pool_3x3", 4, 0]
    assert served["parameters"] == 2_360_782
    assert parse(served) == parse(http.get(f"/genotypes/{name}?format=python").text) == sparse
    assert http.get(f"/genotypes/{name}?format=dot").text.startswith("digraph")
    assert http.get(f"/genotypes/{name}?format=svg").text.startswith("<svg")
    refused = http.get(f"/genotypes/{name}?format=mmrazor")
    assert refused.status_code == 422
    assert "node 3 keeps 0" in refused.text
    body = {"dataset": "digits", "genotype": name, "pool": bench.pool}
    assert parse(http.post("/evaluations", json=body).json()["spec"]["genotype"]) == sparse

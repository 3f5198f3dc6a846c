from typing import Any
from uuid import uuid4

import httpx
import pytest

from darts_core.genotypes import KNOWN, drawn_cell, to_json, to_python
from darts_core.primitives import Family


@pytest.mark.parametrize("form", ["name", "python", "json"])
def test_a_genotype_is_taken_in_every_form_and_stored_as_json(http: httpx.Client, form: str) -> None:
    genotype = KNOWN["DARTS_V2"]
    given: Any = {"name": "DARTS_V2", "python": to_python(genotype), "json": to_json(genotype)}[form]
    answer = http.post("/evaluations", json={"dataset": "digits", "genotype": given, "pool": "unserved"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["genotype"] == to_json(genotype)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"dataset": "digits"}, "search_id or a genotype"),
        ({"dataset": "digits", "genotype": "DARTS_V9"}, "DARTS_V9"),
        ({"genotype": "DARTS_V2"}, "dataset"),
        ({"dataset": "digits", "genotype": "DARTS_V2", "epoch": 3}, "search_id"),
        ({"dataset": "digits", "genotype": "DARTS_V2", "auxiliary": True}, "29x29"),
        ({"dataset": "digits", "genotype": "DARTS_V2", "batch_size": 1400}, "batch_size"),
        ({"dataset": "digits", "genotype": "DARTS_V2", "decoder": "nvjpeg"}, "decoder"),
        (
            {
                "dataset": "digits",
                "genotype": "Genotype(normal=[('skip_connect', 0), ('skip_connect', 3)], normal_concat=[2], "
                "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])",
            },
            "normal[1]: node 2 can only read states 0 to 1, not 3",
        ),
        ({"dataset": "digits", "genotype": "Genotype(normal=[__import__('os').system('true')])"}, "only lists"),
    ],
)
def test_a_bad_evaluation_is_refused_by_name(http: httpx.Client, body: dict[str, Any], says: str) -> None:
    answer = http.post("/evaluations", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_an_evaluation_of_an_unknown_search_is_404_and_of_a_young_one_409(http: httpx.Client) -> None:
    assert http.post("/evaluations", json={"search_id": str(uuid4())}).status_code == 404
    search = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()
    young = http.post("/evaluations", json={"search_id": search["id"]})
    assert young.status_code == 409
    assert "no finished epoch" in young.json()["detail"]


def test_a_checkpoint_is_409_before_there_is_one(http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "pool": "unserved"}
    job = http.post("/evaluations", json=body).json()
    assert http.get(f"/evaluations/{job['id']}/checkpoint").status_code == 409
    assert http.get(f"/evaluations/{job['id']}/checkpoint?epoch=worst").status_code == 422


def test_an_epoch_too_large_for_the_database_is_422(http: httpx.Client) -> None:
    body = {"search_id": str(uuid4()), "epoch": 3_000_000_000}
    assert http.post("/evaluations", json=body).status_code == 422


def test_a_genotype_of_too_many_nodes_and_a_body_of_megabytes_are_refused(http: httpx.Client) -> None:
    genotype = to_json(KNOWN["DARTS_V2"]) | {"normal": [["skip_connect", 0]] * 100}
    many = http.post("/evaluations", json={"dataset": "digits", "genotype": genotype})
    assert many.status_code == 422
    assert "1 to 12 nodes" in many.json()["detail"]
    huge = http.post("/evaluations", json={"dataset": "digits", "genotype": "x" * 5_000_000})
    assert huge.status_code == 413
    chunked = http.post("/evaluations", content=iter([b'{"genotype": "'] + [b"x" * 1_000_000] * 5))
    assert chunked.status_code == 413
    assert chunked.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("family", "dataset"), [("cnn", "digits"), ("rnn", "python-docs")])
def test_a_random_cell_is_drawn_by_its_seed_and_kept_in_the_spec(
    http: httpx.Client, pool: str, family: Family, dataset: str
) -> None:
    def cell(**fields: int) -> str:
        body = {"family": family, "dataset": dataset, "genotype": "random", "pool": pool, **fields}
        answer = http.post("/evaluations", json=body)
        assert answer.status_code == 201, answer.text
        assert "genotype_seed" not in answer.json()["spec"]
        return str(answer.json()["spec"]["genotype"]["text"])

    assert cell(seed=3) == cell(seed=3) == str(drawn_cell(family, 3))
    assert cell(seed=3, genotype_seed=5) == cell(genotype_seed=5) == str(drawn_cell(family, 5))


def test_a_seed_of_a_cell_that_is_not_drawn_is_refused(http: httpx.Client) -> None:
    answer = http.post("/evaluations", json={"dataset": "digits", "genotype": "DARTS_V2", "genotype_seed": 1})
    assert answer.status_code == 422
    assert "genotype_seed: requires genotype: random" in answer.json()["detail"]
    assert http.post("/genotypes", json={"name": "random", "genotype": "DARTS_V2"}).status_code == 409

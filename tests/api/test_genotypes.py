from typing import Any

import httpx
import pytest

from darts_core.genotypes import KNOWN, parse


def test_every_published_genotype_is_served_and_parses_back(http: httpx.Client) -> None:
    assert http.get("/genotypes").json()["items"] == list(KNOWN)
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


def test_the_format_is_chosen_by_query_or_accept(http: httpx.Client) -> None:
    yaml = http.get("/genotypes/DARTS_V2?format=mmrazor")
    assert yaml.headers["Content-Type"].startswith("application/yaml")
    assert parse(yaml.text) == KNOWN["DARTS_V2"]
    python = http.get("/genotypes/DARTS_V2", headers={"Accept": "text/x-python"})
    assert python.text.startswith("Genotype(")
    assert http.get("/genotypes/DARTS_V2?format=dot").text.startswith("digraph")
    assert http.get("/genotypes/DARTS_V2?format=tikz").status_code == 422


def test_what_a_format_cannot_hold_is_422_and_an_unknown_name_404(http: httpx.Client) -> None:
    assert http.get("/genotypes/NASNet?format=mmrazor").status_code == 422
    unknown = http.get("/genotypes/DARTS_V9")
    assert unknown.status_code == 404
    assert "DARTS_V2" in unknown.json()["detail"]


def test_a_searchs_genotype_has_the_counts_of_its_evaluation_network(bench: Any, http: httpx.Client) -> None:
    job = bench.submit()
    bench.claim().report(1)
    served = http.get(f"/searches/{job.id}/genotype").json()
    assert served["parameters"] > 10_000
    assert served["multiply_adds"] > served["parameters"]
    assert served["epoch"] == 1

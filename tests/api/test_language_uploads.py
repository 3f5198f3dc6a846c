"""Uploaded language models: Dartboard's own, and the DARTS authors' with genotype and training text."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from darts_core.data.text import python_docs
from darts_core.data.text.lines import authors_vocabulary
from darts_core.genotypes import KNOWN_RECURRENT, to_json
from tests.support.authors_rnn import AuthorsModel
from tests.support.checkpoint_files import ours, saved
from tests.support.service import Bench

CELL = KNOWN_RECURRENT["DARTS_V2"]
NAMED = {"genotype": "DARTS_V2", "dataset": "python-docs"}


def authors(words: int | None = None) -> AuthorsModel:
    words = words or len(authors_vocabulary(python_docs.read().lines))
    return AuthorsModel(
        [(operation, source) for operation, source in CELL.recurrent], list(CELL.concat), words=words, size=4
    )


def upload(http: httpx.Client, content: bytes, **fields: str) -> httpx.Response:
    return http.post("/checkpoints", files={"file": ("my.pt", content)}, data=fields)


def test_our_own_language_model_is_taken_and_scored_on_its_text(bench: Bench, http: httpx.Client) -> None:
    checksum = python_docs.read().checksum
    spec = {"family": "rnn", "dataset": "python-docs", "text_checksum": checksum}
    made = upload(http, ours(spec=spec, genotype=to_json(CELL), vocabulary=["a", "<eos>", "<unk>"], classes=None))
    assert made.status_code == 201, made.text
    assert (made.json()["family"], made.json()["words"], made.json()["dataset"]) == ("rnn", 3, "python-docs")
    score = bench.dartboard.submit("score", {"checkpoint_id": made.json()["id"], "pool": bench.pool})
    assert (score.spec["family"], score.spec["text_checksum"]) == ("rnn", checksum)


@pytest.mark.parametrize("old", [False, True])
def test_the_authors_state_dict_is_taken_with_its_genotype_and_text(
    http: httpx.Client, old: bool, bench: Bench
) -> None:
    made = upload(http, saved(authors().state_dict(), old=old), **NAMED)
    assert made.status_code == 201, made.text
    assert (made.json()["format"], made.json()["family"]) == ("authors", "rnn")
    assert made.json()["genotype"] == to_json(CELL)
    body = {"checkpoint_id": made.json()["id"], "pool": bench.pool}
    assert bench.dartboard.submit("score", body).spec["checkpoint"]["genotype"] == to_json(CELL)
    elsewhere = http.post("/scores", json={**body, "dataset": "ptb"})
    assert elsewhere.status_code == 422
    assert "the vocabulary of python-docs" in elsewhere.json()["detail"]


def test_a_form_that_does_not_fit_the_file_is_refused_by_field(http: httpx.Client) -> None:
    state = authors(words=50).state_dict()

    def refused(content: bytes, **fields: str) -> tuple[str, str]:
        answer = upload(http, content, **fields)
        assert answer.status_code == 422, answer.text
        [error] = answer.json()["errors"]
        return error["loc"][-1], error["msg"]

    field, said = refused(saved(state), **NAMED)
    assert field == "dataset"
    assert "the weights are of 50 words, the vocabulary of python-docs has" in said
    assert refused(saved(state), **{**NAMED, "genotype": "ENAS"})[0] == "genotype"
    assert refused(saved(state), genotype="DARTS_V2")[0] == "dataset"
    assert refused(saved(state), **{**NAMED, "dataset": "cifar10"})[0] == "dataset"
    assert refused(saved(state), **{**NAMED, "dataset": "folder:../x"})[0] == "dataset"


@pytest.mark.parametrize("old", [False, True])
def test_their_pickled_module_is_refused_with_the_way_out(http: httpx.Client, tmp_path: Path, old: bool) -> None:
    answer = upload(http, saved(authors(), old=old), **NAMED)
    assert answer.status_code == 422
    assert "torch.save(x.state_dict()" in answer.json()["detail"]

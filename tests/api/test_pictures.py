"""Pictures of cells through the API."""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from api.schemas.worker import EpochReport
from client.cli import app
from darts_core.genotypes import KNOWN, derive, derive_recurrent, to_json, to_python
from darts_core.primitives import CNN_PRIMITIVES, RNN_PRIMITIVES, edges_of, recurrent_edges_of
from tests.support.service import Bench, Service, SimulatedAttempt

SVG = "{http://www.w3.org/2000/svg}"


def _report(training: SimulatedAttempt, epoch: int, alphas: dict[str, Any], genotype: Any, **metrics: float) -> None:
    path = training.folder / f"epoch-{epoch}.pt"
    path.write_bytes(b"checkpoint")
    report = EpochReport(
        n=training.number(),
        epoch=epoch,
        metrics=metrics,
        seconds=1.0,
        genotype=to_json(genotype),
        alphas=alphas,
        checkpoint=path.name,
        sha256=training.attempt.upload(path).sha256,
    )
    training.attempt.report_epoch(report)


def _table(seed: int, rows: int, columns: int) -> list[list[float]]:
    source = random.Random(seed)
    return [[source.gauss(0, 1) for _ in range(columns)] for _ in range(rows)]


def _report_cnn(training: SimulatedAttempt, epoch: int) -> None:
    alphas = {name: _table(10 * epoch + i, edges_of(2), 8) for i, name in enumerate(("normal", "reduce"))}
    genotype = derive(alphas["normal"], alphas["reduce"], CNN_PRIMITIVES)
    _report(training, epoch, alphas, genotype, validation_accuracy=80.0 + epoch)


@pytest.fixture
def search(bench: Bench) -> str:
    """A search of two nodes after two of its three epochs."""
    job = bench.submit(nodes=2)
    training = bench.claim()
    _report_cnn(training, 1)
    _report_cnn(training, 2)
    return str(job.id)


@pytest.fixture
def recurrent(bench: Bench) -> str:
    body = {"family": "rnn", "dataset": "python-docs", "epochs": 2, "nodes": 3, "pool": bench.pool}
    job = bench.dartboard.submit("search", body)
    training = bench.claim()
    for epoch in (1, 2):
        table = _table(epoch, recurrent_edges_of(3), 5)
        genotype = derive_recurrent(table, RNN_PRIMITIVES)
        _report(training, epoch, {"recurrent": table}, genotype, validation_perplexity=90.0 - epoch)
    return str(job.id)


def _texts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    return ["".join(text.itertext()) for text in ElementTree.fromstring(answer.content).iter(f"{SVG}text")]


def test_a_known_genotype_is_drawn_with_both_cells(http: httpx.Client) -> None:
    texts = _texts(http.get("/genotypes/DARTS_V2?format=svg"))
    assert {"DARTS_V2", "Normal cell", "Reduction cell", "dil_conv_3x3", "max_pool_3x3"} <= set(texts)


def test_a_known_recurrent_genotype_is_drawn_where_its_family_is_said(http: httpx.Client) -> None:
    assert {"Recurrent cell", "sigmoid"} <= set(_texts(http.get("/genotypes/DARTS_V2?format=svg&family=rnn")))


def test_a_browsers_image_gets_the_svg_by_accept(http: httpx.Client) -> None:
    accept = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
    assert "NASNet" in _texts(http.get("/genotypes/NASNet", headers=accept))


def test_a_registered_genotype_is_drawn_under_its_name(http: httpx.Client) -> None:
    name = f"mine-{uuid4().hex[:8]}"
    http.post("/genotypes", json={"name": name, "genotype": to_python(KNOWN["DARTS_V1"])})
    assert name in _texts(http.get(f"/genotypes/{name}?format=svg"))


def test_a_searchs_genotype_is_drawn_with_its_epoch_and_weights(search: str, http: httpx.Client) -> None:
    answer = http.get(f"/searches/{search}/genotype?format=svg")
    assert "Epoch 2 of 3: validation accuracy 82.00 %" in _texts(answer)
    assert "(weight 0." in answer.text


@pytest.mark.parametrize(("cell", "heading"), [("normal", "Normal cell"), ("reduce", "Reduction cell")])
def test_each_cell_of_a_search_is_a_picture_of_its_own(
    search: str, http: httpx.Client, cell: str, heading: str
) -> None:
    texts = _texts(http.get(f"/searches/{search}/cells/{cell}.svg?epoch=1"))
    assert [text for text in texts if text.endswith(" cell")] == [heading]
    assert "Epoch 1 of 3: validation accuracy 81.00 %" in texts


def test_the_recurrent_cell_of_a_search_is_a_picture(recurrent: str, http: httpx.Client) -> None:
    texts = _texts(http.get(f"/searches/{recurrent}/cells/recurrent.svg"))
    assert "Epoch 2 of 2: validation perplexity 88.00" in texts


def test_a_cell_of_the_other_family_is_404_with_those_there_are(
    search: str, recurrent: str, http: httpx.Client
) -> None:
    for job, cell, there in (
        (search, "recurrent", "normal.svg and reduce.svg"),
        (recurrent, "normal", "recurrent.svg"),
    ):
        answer = http.get(f"/searches/{job}/cells/{cell}.svg")
        assert answer.status_code == 404
        assert there in answer.json()["detail"]
    assert http.get(f"/searches/{search}/cells/middle.svg").status_code == 422


def test_each_cell_that_an_evaluation_trains_is_a_picture(http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "name": "trained", "pool": "unserved"}
    evaluation = http.post("/evaluations", json=body).json()["id"]
    texts = _texts(http.get(f"/evaluations/{evaluation}/cells/reduce.svg"))
    assert [text for text in texts if text.endswith(" cell")] == ["Reduction cell"]
    assert "trained" in texts
    refused = http.get(f"/evaluations/{evaluation}/cells/recurrent.svg")
    assert refused.status_code == 404
    assert "normal.svg and reduce.svg" in refused.json()["detail"]
    search = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()["id"]
    assert http.get(f"/evaluations/{search}/cells/normal.svg").status_code == 404


def test_pictures_are_409_while_no_epoch_has_ended_and_404_for_one_that_is_not_there(
    search: str, http: httpx.Client
) -> None:
    fresh = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()["id"]
    for path in ("genotype?format=svg", "cells/normal.svg", "progress.gif"):
        assert http.get(f"/searches/{fresh}/{path}").status_code == 409, path
        assert http.get(f"/searches/{uuid4()}/{path}").status_code == 404, path
    assert http.get(f"/searches/{search}/cells/normal.svg?epoch=3").status_code == 404


@pytest.mark.parametrize("job", ["search", "recurrent"])
def test_progress_is_a_gif_with_a_frame_an_epoch(request: pytest.FixtureRequest, http: httpx.Client, job: str) -> None:
    answer = http.get(f"/searches/{request.getfixturevalue(job)}/progress.gif")
    assert answer.headers["Content-Type"] == "image/gif"
    with Image.open(io.BytesIO(answer.content)) as gif:
        assert gif.n_frames == 2  # type: ignore[attr-defined]


def test_others_are_answered_while_a_progress_is_drawn(search: str, service: Service, http: httpx.Client) -> None:
    with service.http as other, ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(other.get, f"/searches/{search}/progress.gif")
        answered = 0
        while not drawing.done():
            answered += http.get("/healthz").status_code == 200
    assert drawing.result().status_code == 200
    assert answered >= 5


def test_progress_comes_in_dark_too(search: str, http: httpx.Client) -> None:
    with Image.open(io.BytesIO(http.get(f"/searches/{search}/progress.gif?theme=dark").content)) as gif:
        assert gif.convert("RGB").getpixel((0, 0)) == (0x12, 0x1A, 0x24)
    assert http.get(f"/searches/{search}/progress.gif?theme=pink").status_code == 422


@pytest.mark.parametrize("path", ["genotype?format=svg", "cells/normal.svg", "progress.gif"])
def test_a_picture_is_sent_once_and_anew_only_after_another_epoch(bench: Bench, http: httpx.Client, path: str) -> None:
    job = bench.submit(nodes=2)
    training = bench.claim()
    _report_cnn(training, 1)
    first = http.get(f"/searches/{job.id}/{path}")
    known = {"If-None-Match": first.headers["ETag"]}
    assert http.get(f"/searches/{job.id}/{path}", headers=known).status_code == 304
    _report_cnn(training, 2)
    assert http.get(f"/searches/{job.id}/{path}", headers=known).status_code == 200


def test_a_picture_opened_by_itself_may_run_nothing(http: httpx.Client) -> None:
    headers = http.get("/genotypes/DARTS_V2?format=svg").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_openapi_names_the_pictures_kinds(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]

    def kinds(path: str) -> set[str]:
        return set(paths[path]["get"]["responses"]["200"]["content"])

    assert kinds("/searches/{job_id}/cells/{cell}.svg") == {"image/svg+xml"}
    assert kinds("/searches/{job_id}/progress.gif") == {"image/gif"}
    assert "image/svg+xml" in kinds("/searches/{job_id}/genotype") & kinds("/genotypes/{name}")


def test_the_command_draws_a_search_at_an_epoch_and_its_progress(
    search: str, http: httpx.Client, tmp_path: Path
) -> None:
    def draw(*arguments: str) -> int:
        return CliRunner().invoke(app, ["draw", search, "--url", str(http.base_url), *arguments]).exit_code

    assert draw("-o", str(tmp_path / "a.svg"), "--epoch", "1") == 0
    assert "<title>Search on digits. Epoch 1 of 3" in (tmp_path / "a.svg").read_text()
    assert draw("-o", str(tmp_path / "a.gif")) == 0
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 2  # type: ignore[attr-defined]
    assert draw("-o", str(tmp_path / "a.svg"), "--epoch", "9") == 2


def test_the_command_draws_the_cell_of_an_evaluation(bench: Bench, http: httpx.Client, tmp_path: Path) -> None:
    body = {"dataset": "digits", "genotype": "PC_DARTS", "name": "retrained", "pool": "unserved"}
    job = http.post("/evaluations", json=body).json()["id"]
    file = tmp_path / "cell.svg"
    assert CliRunner().invoke(app, ["draw", job, "--url", str(http.base_url), "-o", str(file)]).exit_code == 0
    assert "<title>retrained on digits</title>" in file.read_text()


@pytest.mark.parametrize(
    "alphas", [{"normal": [[0.5]], "reduce": [[0.5]]}, {"normal": [[0.0] * 8], "reduce": [[0.0] * 8]}]
)
def test_alphas_that_do_not_fit_the_cell_are_no_fault_of_the_service(
    bench: Bench, http: httpx.Client, alphas: dict[str, Any]
) -> None:
    job = bench.submit()
    _report(bench.claim(), 1, alphas, KNOWN["DARTS_V2"])
    for picture in ("cells/normal.svg", "cells/reduce.svg", "progress.gif", "genotype?format=svg"):
        answer = http.get(f"/searches/{job.id}/{picture}")
        assert answer.status_code == 409
        assert "do not fit" in answer.json()["detail"]
    for part in ("alphas", "genotype", "epochs"):
        assert http.get(f"/searches/{job.id}/{part}").status_code == 200

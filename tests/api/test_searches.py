import csv
import io
import subprocess
import sys
from typing import Any
from uuid import uuid4

import httpx
import pytest

from client.sdk import Dartboard
from darts_core.genotypes import derive, parse, ranked, softmaxed
from darts_core.primitives import CNN_PRIMITIVES
from tests.support.service import Bench


def test_create_search_answers_201_with_its_location_and_a_fully_resolved_spec(http: httpx.Client) -> None:
    answer = http.post("/searches", json={"dataset": "digits", "epochs": 3, "seed": 7})
    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/searches/{job['id']}" == job["links"]["self"]
    assert job["status"] == "queued"
    assert job["spec"]["epochs"] == 3
    assert job["spec"]["seed"] == 7
    assert job["spec"]["preset"] == "digits"
    assert len(job["spec"]["primitives"]) == 8
    assert None not in [job["spec"][f] for f in ("batch_size", "channels", "layers", "nodes", "alpha_lr", "order")]


def test_create_search_reads_the_body_that_curl_sends_by_default(http: httpx.Client) -> None:
    answer = http.post(
        "/searches",
        content=b'{"family":"cnn","dataset":"digits","epochs":3}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"dataset": "mnist2"}, "dataset", "digits, cifar10"),
        ({"dataset": "folder:../../etc"}, "dataset", "folder"),
        ({}, "dataset", "required"),
        ({"dataset": "digits", "epochs": 0}, "epochs", "greater than or equal to 1"),
        ({"dataset": "digits", "preset": "cifra10"}, "preset", "known: cifar10, "),
        ({"dataset": "digits", "primitives": ["skip_connect", "conv_9x9"]}, "primitives", "sep_conv_3x3"),
        ({"dataset": "digits", "primitives": ["none"]}, "primitives", "other than 'none'"),
        ({"dataset": "digits", "epoch": 3}, "epoch", "unknown field"),
        ({"dataset": "digits", "batch_size": 2000}, "batch_size", "at most 718"),
        ({"dataset": "digits", "batch_size": 33, "gpus": 2}, "batch_size", "33 images cannot be shared by 2 GPUs"),
        ({"dataset": "digits", "channels": 7, "stem": "imagenet"}, "channels", "must be even behind the stem"),
        ({"dataset": "digits", "order": 1, "unrolled": True}, "unrolled", "contradicts"),
        ({"dataset": "digits", "family": "transformer"}, "family", "cnn"),
        ({"dataset": "digits", "priority": 10}, "priority", "less than or equal to 9"),
        ({"dataset": "digits", "weight_lr": 1e999}, "weight_lr", "finite"),
        ({"dataset": "digits", "decoder": "torchvision"}, "decoder", "leave it out"),
        ({"dataset": "imagenet", "decoder": "turbojpeg"}, "decoder", "pillow, torchvision, nvjpeg"),
    ],
)
def test_create_search_refuses_with_the_field_and_the_allowed_values(
    http: httpx.Client, body: dict[str, Any], field: str, says: str
) -> None:
    import json

    answer = http.post("/searches", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = [e for e in answer.json()["errors"] if field in e["loc"]]
    assert found, answer.json()
    assert says in " ".join(e["msg"] for e in found)


def test_a_search_of_image_files_keeps_its_decoder(http: httpx.Client, pool: str) -> None:
    answer = http.post("/searches", json={"dataset": "imagenet", "decoder": "torchvision", "pool": pool})
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["decoder"] == "torchvision"


def test_a_body_that_is_not_json_is_a_422_problem(http: httpx.Client) -> None:
    answer = http.post("/searches", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["title"] == "Unprocessable Entity"


def test_unknown_job_is_a_404_problem_in_every_route(http: httpx.Client) -> None:
    missing = uuid4()
    for path in ("", "/events", "/epochs", "/logs", "/genotype", "/alphas"):
        answer = http.get(f"/searches/{missing}{path}")
        assert answer.status_code == 404, path
        assert str(missing) in answer.json()["detail"]


def test_a_search_is_not_found_among_evaluations(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits"}).json()
    assert http.get(f"/evaluations/{job['id']}").status_code == 404


def test_genotype_is_409_while_no_epoch_has_ended(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits"}).json()
    answer = http.get(f"/searches/{job['id']}/genotype")
    assert answer.status_code == 409
    assert "no finished epoch" in answer.json()["detail"]


def test_list_pages_through_all_jobs_of_a_label_newest_first(http: httpx.Client) -> None:
    team = uuid4().hex
    made = [http.post("/searches", json={"dataset": "digits", "labels": {"team": team}}).json()["id"] for _ in range(5)]
    http.post("/searches", json={"dataset": "digits"})
    seen, cursor = [], None
    while True:
        params = {"label": f"team={team}", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = http.get("/searches", params=params).json()
        seen += [j["id"] for j in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_a_job_is_listed_by_the_labels_and_the_status_that_it_has_now(http: httpx.Client) -> None:
    team, other = uuid4().hex, uuid4().hex
    job = http.post("/searches", json={"dataset": "digits", "labels": {"team": team}}).json()

    def listed(**params: str) -> list[str]:
        return [j["id"] for j in http.get("/searches", params=params).json()["items"]]

    http.patch(f"/searches/{job['id']}", json={"labels": {"team": other}})
    assert (listed(label=f"team={team}"), listed(label=f"team={other}")) == ([], [job["id"]])
    http.post(f"/searches/{job['id']}/cancel")
    assert listed(label=f"team={other}", status="queued") == []
    assert listed(label=f"team={other}", status="cancelled") == [job["id"]]


def test_the_same_idempotency_key_and_body_answer_the_first_job(http: httpx.Client) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = http.post("/searches", json={"dataset": "digits"}, headers=key)
    again = http.post("/searches", json={"dataset": "digits"}, headers=key)
    other = http.post("/searches", json={"dataset": "digits", "seed": 1}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 409


def test_patch_changes_the_named_fields_alone(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits", "name": "a", "labels": {"x": "1"}}).json()
    changed = http.patch(f"/searches/{job['id']}", json={"priority": 9}).json()
    assert (changed["priority"], changed["name"], changed["labels"]) == (9, "a", {"x": "1"})
    assert http.patch(f"/searches/{job['id']}", json={"status": "succeeded"}).status_code == 422


def test_a_priority_of_null_is_refused_as_the_schema_says(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()
    refused = http.patch(f"/searches/{job['id']}", json={"priority": None})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == ["body", "priority"]
    field = http.get("/openapi.json").json()["components"]["schemas"]["JobPatch"]["properties"]["priority"]
    assert (field["type"], "anyOf" in field) == ("integer", False)


def test_cancel_ends_a_queued_job_and_a_second_cancel_is_409(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()
    cancelled = http.post(f"/searches/{job['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["finished_at"] is not None
    again = http.post(f"/searches/{job['id']}/cancel")
    assert again.status_code == 409
    assert "retry" in again.json()["detail"]


def test_delete_takes_only_ended_jobs(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()
    assert http.delete(f"/searches/{job['id']}").status_code == 409
    http.post(f"/searches/{job['id']}/cancel")
    assert http.delete(f"/searches/{job['id']}").status_code == 204
    assert http.get(f"/searches/{job['id']}").status_code == 404


def test_pause_and_resume_a_queued_job(http: httpx.Client) -> None:
    job = http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).json()
    assert http.post(f"/searches/{job['id']}/resume").status_code == 409
    assert http.post(f"/searches/{job['id']}/pause").json()["status"] == "paused"
    assert http.post(f"/searches/{job['id']}/resume").json()["status"] == "queued"


def test_a_null_byte_is_refused_at_the_door(http: httpx.Client) -> None:
    assert http.post("/searches", json={"dataset": "digits", "name": "a\x00b"}).status_code == 422
    assert http.get("/searches", params={"label": "a\x00b"}).status_code == 422


def test_the_sdk_lists_submitted_jobs(dartboard: Dartboard) -> None:
    job = dartboard.submit("search", {"dataset": "digits", "labels": {"only": "this"}, "pool": "unserved"})
    assert job.id in [j.id for j in dartboard.jobs(label="only=this")]


TABLES = {
    kind: [[((3 * row + 5 * column + shift) % 7) / 3 for column in range(8)] for row in range(14)]
    for kind, shift in (("normal", 0), ("reduce", 2))
}


@pytest.mark.parametrize("query", [{"rank": 3}, {"max_skip_connects": 0}, {"max_skip_connects": 1, "rank": 2}])
def test_other_genotypes_come_from_the_same_alphas(bench: Bench, http: httpx.Client, query: dict[str, Any]) -> None:
    job = bench.submit()
    bench.claim().report(1, alphas=TABLES, genotype=derive(TABLES["normal"], TABLES["reduce"], CNN_PRIMITIVES))
    served = http.get(f"/searches/{job.id}/genotype", params=query).json()
    assert parse(served["text"]) == ranked(softmaxed(TABLES), served["primitives"], **query)
    assert served["parameters"] > 10_000
    assert http.get(f"/searches/{job.id}/genotype", params={**query, "format": "svg"}).text.startswith("<svg")
    assert bench.dartboard.genotype(job.id, **query).text == served["text"]


@pytest.mark.parametrize("query", ["rank=0", "rank=101", "max_skip_connects=-1", "epoch=worst", "epoch=0"])
def test_an_unknown_genotype_is_422(bench: Bench, http: httpx.Client, query: str) -> None:
    job = bench.submit()
    bench.claim().report(1, alphas=TABLES)
    assert http.get(f"/searches/{job.id}/genotype?{query}").status_code == 422


def test_a_limit_that_leaves_no_genotype_is_422(bench: Bench, http: httpx.Client) -> None:
    primitives = ["none", "skip_connect"]
    job = bench.submit(primitives=primitives)
    alphas = {kind: [row[:2] for row in table] for kind, table in TABLES.items()}
    bench.claim().report(1, alphas=alphas, genotype=derive(alphas["normal"], alphas["reduce"], primitives))
    refused = http.get(f"/searches/{job.id}/genotype?max_skip_connects=2")
    assert refused.status_code == 422
    assert "max_skip_connects: there are fewer than 1 genotypes" in refused.json()["detail"]


def test_the_best_epochs_genotype_is_that_of_the_best_validation(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit()
    training = bench.claim()
    for epoch, accuracy in ((1, 40.0), (2, 70.0), (3, 60.0)):
        training.report(epoch, alphas=TABLES, validation_accuracy=accuracy)
    path = f"/searches/{job.id}/genotype"
    found = {which: http.get(path, params={"epoch": which}).json()["epoch"] for which in ("best", "last", "1")}
    assert found == {"best": 2, "last": 3, "1": 1}
    assert http.get(path).json()["epoch"] == 3
    assert http.get(path, params={"epoch": "9"}).status_code == 404


def test_epochs_come_as_csv_with_a_column_for_every_metric(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report(1)
    training.report(2, late=1e-7)
    answer = http.get(f"/searches/{job.id}/epochs?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["late"] for row in rows] == ["", "1e-07"]
    assert float(rows[0]["validation_accuracy"]) == 50
    assert [row["epoch"] for row in csv.DictReader(io.StringIO(http.get(f"{answer.url}&after=1").text))] == ["2"]
    command = [sys.executable, "-m", "client.cli", "epochs", str(job.id), "--csv", "--url", bench.dartboard.url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == answer.text

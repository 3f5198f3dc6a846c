"""Comparisons of jobs, each number recomputed by hand."""

from __future__ import annotations

import csv
import io
import math
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.compare import Comparison
from api.schemas.worker import EpochReport, Presence
from client.cli import app
from client.sdk import Dartboard
from darts_core.genotypes import KNOWN, to_json, to_python
from tests.support.service import Bench, Service, SimulatedAttempt
from worker.api_client import WorkerApi

# Softmaxed: one half and two quarters; all alike.
HALF = [math.log(2.0), 0.0, 0.0]
EVEN = [0.0, 0.0, 0.0]


def report(training: SimulatedAttempt, epoch: int, genotype: str, **metrics: float) -> None:
    path = training.folder / f"epoch-{epoch}.pt"
    path.write_bytes(b"a checkpoint")
    stored = training.attempt.upload(path)
    training.attempt.report_epoch(
        EpochReport(
            n=training.number(),
            epoch=epoch,
            metrics=metrics,
            seconds=1.0,
            genotype=to_json(KNOWN[genotype]),
            alphas={"normal": [HALF, EVEN], "reduce": [EVEN]},
            checkpoint=path.name,
            sha256=stored.sha256,
        )
    )


@pytest.fixture
def pair(bench: Bench) -> tuple[str, str]:
    """A search that ended as DARTS_V1 after 2 epochs, and one that stands at DARTS_V2 after 1."""
    first = bench.submit(epochs=2, seed=1, name="one|two", channels=8)
    training = bench.claim("on-cpu")
    report(training, 1, "DARTS_V2", validation_accuracy=50.0, train_loss=2.0)
    report(training, 2, "DARTS_V1", validation_accuracy=40.0, train_loss=1.0)
    training.finish()
    second = bench.submit(epochs=3, seed=2, channels=16)
    report(bench.claim("on-gpu"), 1, "DARTS_V2", validation_accuracy=60.0, skip_connects=2.0, alpha_entropy=1.25)
    bench.dartboard.cancel(second.id)
    return str(first.id), str(second.id)


@pytest.fixture
def compared(pair: tuple[str, str], dartboard: Dartboard) -> Comparison:
    return dartboard.compare(pair)


def test_cells_stand_side_by_side_and_say_where_they_differ(compared: Comparison) -> None:
    normal = {(row.node, i % 2): row for i, row in enumerate(r for r in compared.cells if r.cell == "normal")}
    # Node 2 of both: sep_conv_3x3 of each input, though V1 names the second input first.
    assert normal[2, 0].edges == [("sep_conv_3x3", 0), ("sep_conv_3x3", 0)]
    assert normal[2, 0].same
    assert normal[2, 1].same
    # Node 3: V1 has skip_connect 0, sep_conv_3x3 1; V2 sep_conv_3x3 of both.
    assert normal[3, 0].edges == [("skip_connect", 0), ("sep_conv_3x3", 0)]
    assert not normal[3, 0].same
    assert normal[3, 1].edges == [("sep_conv_3x3", 1), ("sep_conv_3x3", 1)]
    assert len(compared.cells) == 16


def test_operations_without_parameters_are_counted_cell_by_cell(compared: Comparison) -> None:
    one, two = compared.jobs
    assert one.genotype == to_python(KNOWN["DARTS_V1"])
    normal, reduce = one.cells["normal"], one.cells["reduce"]
    assert (normal.edges, normal.skip_connects, normal.skip_share, normal.parameter_free) == (8, 3, 3 / 8, 3)
    assert (reduce.skip_connects, reduce.skip_share, reduce.parameter_free) == (3, 3 / 8, 8)
    assert two.cells["normal"].skip_connects == 2


def test_parameters_and_multiply_adds_are_those_of_the_genotypes_own_route(
    compared: Comparison, pair: tuple[str, str], http: httpx.Client
) -> None:
    for job, job_id in zip(compared.jobs, pair, strict=True):
        of_route = http.get(f"/searches/{job_id}/genotype").json()
        assert job.parameters == of_route["parameters"] > 0
        assert job.multiply_adds == of_route["multiply_adds"] > 0


def test_metrics_are_aligned_by_epoch(compared: Comparison) -> None:
    first, second = compared.epochs
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.metrics["validation_accuracy"] == [50.0, 60.0]
    assert first.metrics["train_loss"] == [2.0, None]
    assert second.metrics["validation_accuracy"] == [40.0, None]


def test_entropy_is_made_from_the_alphas_where_an_epoch_does_not_tell_it(compared: Comparison) -> None:
    half = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    mine = (half + math.log(3)) / 2
    assert compared.epochs[0].metrics["alpha_entropy"] == [pytest.approx(mine, rel=1e-14), 1.25]
    assert compared.epochs[0].metrics["reduce_alpha_entropy"] == [pytest.approx(math.log(3), rel=1e-14), None]
    assert compared.epochs[1].metrics["skip_connects"] == [3, None]


def test_best_and_last_are_those_of_the_jobs(compared: Comparison) -> None:
    one = compared.jobs[0]
    assert one.best == {"epoch": 1, "validation_accuracy": 50, "train_loss": 2}
    assert one.last == {"validation_accuracy": 40, "train_loss": 1}
    assert (one.epochs, one.planned_epochs, one.seed) == (2, 2, 1)


def test_only_the_fields_that_differ_are_named(compared: Comparison) -> None:
    assert compared.spec == {"epochs": [2, 3], "seed": [1, 2], "channels": [8, 16]}


def test_compute_seconds_are_the_attempts_time_from_claim_to_end(
    compared: Comparison, pair: tuple[str, str], http: httpx.Client
) -> None:
    from datetime import datetime

    for job, job_id in zip(compared.jobs, pair, strict=True):
        [attempt] = http.get(f"/searches/{job_id}/attempts").json()["items"]
        began, ended = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "ended_at"))
        assert job.compute_seconds == pytest.approx((ended - began).total_seconds(), abs=1e-5)
        assert job.compute_seconds > 0


def test_seconds_count_as_gpu_seconds_on_gpus_alone(
    pair: tuple[str, str], dartboard: Dartboard, worker_api: WorkerApi
) -> None:
    worker_api.show(Presence(name="on-cpu", device="cpu (x86_64, 2 cores)", version="0", pools=["elsewhere"]))
    worker_api.show(Presence(name="on-gpu", device="NVIDIA H100", version="0", pools=["elsewhere"]))
    on_cpu, on_gpu = dartboard.compare(pair).jobs
    assert (on_cpu.devices, on_cpu.gpu_seconds) == (["cpu (x86_64, 2 cores)"], 0)
    assert on_gpu.devices == ["NVIDIA H100"]
    assert on_gpu.gpu_seconds == on_gpu.compute_seconds > 0


def test_an_evaluation_stands_with_its_own_network_beside_a_search(
    pair: tuple[str, str], dartboard: Dartboard, pool: str, http: httpx.Client
) -> None:
    from darts_core.profile import Shape, profile

    body = {"dataset": "digits", "genotype": "PC_DARTS", "channels": 4, "layers": 3, "pool": pool}
    evaluation = dartboard.submit("evaluation", body)
    compared = dartboard.compare([pair[0], evaluation.id])
    by_hand = profile(KNOWN["PC_DARTS"], Shape(4, 3, 10, 8, 1))
    assert compared.jobs[1].parameters == by_hand.parameters
    assert compared.jobs[1].multiply_adds == by_hand.multiply_adds
    assert compared.jobs[1].compute_seconds == 0
    assert compared.spec["order"] == [1, None]


def test_jobs_of_different_families_have_no_edge_in_common(pair: tuple[str, str], dartboard: Dartboard) -> None:
    body = {"family": "rnn", "dataset": "python-docs", "genotype": "DARTS_V1", "pool": "unserved"}
    recurrent = dartboard.submit("evaluation", body)
    compared = dartboard.compare([recurrent.id, pair[0]])
    of_recurrent = [row for row in compared.cells if row.cell == "recurrent"]
    assert [row.edges for row in of_recurrent[:2]] == [[("relu", 0), None], [("relu", 1), None]]
    assert not any(row.same for row in compared.cells)
    assert compared.jobs[0].cells["recurrent"].skip_connects == 1


def test_csv_has_every_figure_under_the_jobs_ids(
    pair: tuple[str, str], compared: Comparison, http: httpx.Client
) -> None:
    answer = http.get("/compare", params={"ids": ",".join(pair)}, headers={"Accept": "text/csv"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head == ["figure", *pair]
    figures = {name: values for name, *values in rows}
    assert figures["name"] == ["one|two", ""]
    assert figures["parameters"] == [str(job.parameters) for job in compared.jobs]
    assert figures["normal_skip_share"] == ["0.375", "0.25"]
    assert figures["last_validation_accuracy"] == ["40.0", "60.0"]
    assert figures["best_train_loss"] == ["2.0", ""]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("cells", ["normal", "3", "no", "skip_connect 0", "sep_conv_3x3 0"]),
        ("epochs", ["2", "validation_accuracy", "40.0", ""]),
        ("spec", ["channels", "8", "16"]),
    ],
)
def test_each_table_comes_as_csv(pair: tuple[str, str], http: httpx.Client, table: str, row: list[str]) -> None:
    answer = http.get("/compare", params={"ids": pair, "format": "csv", "table": table})
    assert row in list(csv.reader(io.StringIO(answer.text)))


def test_markdown_has_all_tables_and_no_name_breaks_them(pair: tuple[str, str], http: httpx.Client) -> None:
    answer = http.get("/compare", params={"ids": pair}, headers={"Accept": "text/markdown"})
    assert answer.headers["Content-Type"].startswith("text/markdown")
    lines = answer.text.splitlines()
    assert [line for line in lines if line.startswith("##")] == [
        *("## Figures", "## Cells", "## Epochs", "## Where the specs differ")
    ]
    assert f"| figure | one\\|two | {pair[1]} |" in lines
    assert "| normal | 3 | no | skip_connect 0 | sep_conv_3x3 0 |" in lines
    assert "| channels | 8 | 16 |" in lines


def test_an_unknown_job_is_named(pair: tuple[str, str], http: httpx.Client) -> None:
    missing = str(uuid4())
    answer = http.get("/compare", params={"ids": f"{pair[0]},{missing}"})
    assert answer.status_code == 404
    assert missing in answer.json()["detail"]


@pytest.mark.parametrize("ids", [[], ["{0}"], ["{0},{0}"], ["{0},nonsense"], ["{0}", "a\x00b"]])
def test_fewer_than_two_or_more_than_twenty_ids_are_422(
    pair: tuple[str, str], http: httpx.Client, ids: list[str]
) -> None:
    answer = http.get("/compare", params={"ids": [text.format(*pair) for text in ids]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][:2] == ["query", "ids"]


def test_more_than_twenty_are_refused(http: httpx.Client) -> None:
    answer = http.get("/compare", params={"ids": ",".join(str(uuid4()) for _ in range(21))})
    assert answer.status_code == 422
    assert "2 to 20" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("csv", "normal_skip_share,0.375,0.25"),
        ("markdown", "| normal | 3 | no | skip_connect 0 | sep_conv_3x3 0 |"),
        ("json", '"planned_epochs": 2'),
        ("table", "validation_accuracy"),
    ],
)
def test_the_command_prints_each_format(pair: tuple[str, str], service: Service, form: str, says: str) -> None:
    done = CliRunner().invoke(app, ["compare", *pair, "--format", form, "--url", service.url])
    assert done.exit_code == 0, done.output
    assert says in done.output


def test_a_study_has_no_cell_of_its_own_and_the_data_set_of_its_searches(
    pair: tuple[str, str], dartboard: Dartboard, pool: str, http: httpx.Client
) -> None:
    study = http.post("/studies", json={"search": {"dataset": "digits"}, "pool": pool}).json()
    compared = dartboard.compare([pair[0], study["id"]])
    assert (compared.jobs[1].dataset, compared.jobs[1].genotype, compared.jobs[1].cells) == ("digits", None, {})
    http.post(f"/studies/{study['id']}/cancel")


@pytest.fixture
def hostile_pair(dartboard: Dartboard, pool: str) -> tuple[str, str]:
    names = ('=HYPERLINK("http://x")', "<img src=x onerror=alert(1)>[a](http://x)")
    first, second = (
        dartboard.submit("search", {"dataset": "digits", "epochs": 1, "pool": pool, "name": name}) for name in names
    )
    return str(first.id), str(second.id)


def test_no_field_of_a_csv_is_a_formula(hostile_pair: tuple[str, str], http: httpx.Client) -> None:
    answer = http.get("/compare", params={"ids": hostile_pair, "format": "csv"})
    fields = [field for row in csv.reader(io.StringIO(answer.text)) for field in row]
    assert '\'=HYPERLINK("http://x")' in fields
    assert [field for field in fields if field.startswith(("=", "+", "@", "\t"))] == []


def test_markdown_renders_no_html_and_no_link_of_a_name(hostile_pair: tuple[str, str], http: httpx.Client) -> None:
    answer = http.get("/compare", params={"ids": hostile_pair, "format": "markdown"})
    assert r"\<img src=x onerror=alert(1)\>\[a\](http://x)" in answer.text

"""Advice through the service: its cost by the jobs that ran, its body, its refusals, and the command that prints it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api.advice.choice import choose, ledger
from api.schemas.advice import AdviceOut
from api.schemas.jobs import JobOut
from api.schemas.worker import Presence
from client.cli import app
from client.errors import ProblemError
from client.sdk import Dartboard
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.catalogue import BUILT_IN
from darts_core.genotypes import drawn_cell, to_json
from darts_core.profile.specs import evaluation_multiply_adds, search_multiply_adds
from tests.support.archives import pets, tar_of
from tests.support.service import Bench

SEARCH = {"channels": 4, "layers": 3, "epochs": 1}
# Of the test's jobs, by tests/support/service.py.
EPOCH_SECONDS = 1.5


def ask(bench: Bench, dataset: str = "digits", gpus: int = 1, hours: float = 1.0) -> AdviceOut:
    return bench.dartboard.advise(dataset, gpus=gpus, hours=hours, pool=bench.pool)


def worker(bench: Bench) -> str:
    return f"worker of {bench.pool}"


def show(bench: Bench, name: str, *, pool: str | None = None, device: str | None = None) -> None:
    device = device or f"device of {bench.pool}"
    bench.api.show(Presence(name=name, device=device, version="0", pools=[pool or bench.pool]))


def train(bench: Bench, job: JobOut) -> JobOut:
    """One epoch of the pool's next job, on a device of the pool alone."""
    show(bench, worker(bench))
    attempt = bench.claim(worker(bench))
    assert attempt.claimed.job_id == job.id
    attempt.report(1)
    attempt.finish()
    return bench.dartboard.job(job.id)


def trained_search(bench: Bench, **fields: Any) -> JobOut:
    """By default by the method that is advised for digits."""
    return train(bench, bench.submit(**{"method": ask(bench).method, **SEARCH, **fields}))


def trained_cell(bench: Bench) -> JobOut:
    body = {"dataset": "digits", "genotype": "012304", "epochs": 1, "layers": 3, "pool": bench.pool}
    return train(bench, bench.dartboard.submit("evaluation", body))


def test_the_ledger_s_nearest_rows_choose_the_method(bench: Bench) -> None:
    found = ask(bench)
    assert found.rows == choose(ledger(), found.training_images, 3600).shown
    best, random = found.rows[:2]
    assert (found.method, found.space, found.order) == (best.method, best.space, best.order)
    assert (best.training_images, best.verdict, random.method) == (1437, "better than random", "random")


def test_without_a_like_job_the_cost_is_unknown_and_the_preset_s_epochs_stay(bench: Bench) -> None:
    found = ask(bench)
    assert found.kind == "search"
    assert found.body == {
        "dataset": "digits",
        "method": found.method,
        "space": found.space,
        "order": 1,
        "epochs": 6,
        "pool": bench.pool,
    }
    assert found.retraining == {"epochs": 18, "pool": bench.pool}
    assert (found.cost.search.seconds, found.cost.retraining.seconds, found.cost.hours) == (None, None, None)
    assert f"no worker has served the pool {bench.pool}" in found.cost.search.how
    show(bench, f"idle in {bench.pool}")
    assert "nothing like it has run; one epoch of it tells" in " ".join(ask(bench).sentences)


def test_a_cost_follows_from_the_last_like_job_by_images_multiply_adds_and_epochs(bench: Bench) -> None:
    trained_search(bench, channels=16)
    search, cell = trained_search(bench), trained_cell(bench)
    advice = ask(bench, hours=0.05)
    digits, found, cost = BUILT_IN["digits"], advice.cost, advice.cost.search
    advised = SearchConfig(dataset="digits", method=advice.method, space=advice.space).resolved().model_dump()
    scale = search_multiply_adds(advised, digits) / search_multiply_adds(search.spec, digits)
    assert scale > 1
    assert cost.job == search.id
    assert cost.seconds == pytest.approx(EPOCH_SECONDS * scale * cost.epochs)
    drawn = to_json(drawn_cell("cnn", 0, space=advice.space))
    spec = EvaluationConfig(dataset="digits", genotype=drawn).resolved().model_dump()
    scale = evaluation_multiply_adds(spec, digits) / evaluation_multiply_adds(cell.spec, digits)
    assert found.retraining.job == cell.id
    assert found.retraining.seconds == pytest.approx(EPOCH_SECONDS * scale * found.retraining.epochs)
    assert str(search.id) in cost.how


def test_more_images_cost_more_by_their_number(bench: Bench, http: httpx.Client) -> None:
    trained_search(bench)
    digits, cifar10 = (ask(bench, dataset, hours=1000) for dataset in ("digits", "cifar10"))
    assert cifar10.cost.search.seconds is not None
    assert digits.cost.search.seconds is not None
    assert "times 34.8 for the training images" in cifar10.cost.search.how
    assert "times 1 for the training images" in digits.cost.search.how
    assert any("No row of the ledger has your 50,000 training images" in each for each in cifar10.sentences)


def test_a_search_by_another_method_is_like_it_where_none_by_the_same_ran(bench: Bench) -> None:
    advised = ask(bench).method
    by = "snas" if advised == "drnas" else "drnas"
    other = trained_search(bench, method=by)
    second = trained_search(bench, method="darts", order=2)
    trained_search(bench, method="random")
    cost = ask(bench, hours=1000).cost.search
    assert cost.job == other.id != second.id
    assert f"that search is by {by}" in cost.how
    same = trained_search(bench)
    trained_search(bench, method=by)
    assert ask(bench, hours=1000).cost.search.job == same.id


def test_jobs_of_other_devices_tell_nothing(bench: Bench) -> None:
    trained_search(bench)
    show(bench, worker(bench), pool="elsewhere", device="another device")
    show(bench, f"idle in {bench.pool}")
    assert ask(bench).cost.search.job is None


def test_a_study_is_advised_where_it_fits_and_is_accepted(bench: Bench, http: httpx.Client) -> None:
    trained_search(bench)
    trained_cell(bench)
    hours = 1000
    found = ask(bench, hours=hours)
    assert (found.kind, found.seeds, found.retraining) == ("study", [0, 1, 2, 3], None)
    assert found.cost.hours is not None
    assert found.cost.short_retraining is not None
    many = ask(bench, gpus=4, hours=hours)
    assert many.cost.hours is not None
    assert many.cost.hours < found.cost.hours / 3
    assert any("1 of the 4 workers" in sentence for sentence in many.sentences)
    answer = http.post("/studies", json=found.body)
    assert answer.status_code == 201, answer.text
    [point] = answer.json()["spec"]["points"]
    assert (point["search"]["method"], point["search"]["epochs"]) == (found.method, found.epochs)
    assert point["final"]["epochs"] == found.retraining_epochs
    http.post(f"/studies/{answer.json()['id']}/cancel")


def test_a_short_budget_shortens_search_and_retraining(bench: Bench, http: httpx.Client) -> None:
    trained_search(bench)
    trained_cell(bench)
    whole = ask(bench, hours=1000)
    seconds = [cost.seconds for cost in (whole.cost.search, whole.cost.retraining)]
    assert None not in seconds
    hours = 1.001 * sum(each or 0 for each in seconds) / 2 / 3600
    found = ask(bench, gpus=8, hours=hours)
    assert found.kind == "search"
    assert found.epochs == whole.epochs // 2 == found.body["epochs"]
    assert found.retraining_epochs == whole.retraining_epochs // 2
    assert found.cost.hours == pytest.approx(hours, rel=0.01)
    assert http.post("/searches", json=found.body).status_code == 201


def test_an_uploaded_set_is_advised_on(bench: Bench, tmp_path: Any) -> None:
    name = f"pets-{bench.pool}"
    with pytest.raises(ProblemError, match=f"unknown data set '{name}'.*known: digits, cifar10") as unknown:
        ask(bench, name)
    assert unknown.value.status == 422
    (tmp_path / "pets.tar").write_bytes(tar_of(pets()))
    bench.dartboard.add_dataset(name, tmp_path / "pets.tar")
    images = bench.dartboard.wait_for_dataset(name).sizes
    assert images is not None
    found = ask(bench, name)
    assert found.training_images == images.train
    assert bench.dartboard.submit("search", found.body).spec["dataset"] == name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset": "digitz"}, "did you mean 'digits'"),
        ({"dataset": "python-docs"}, "dataset: python-docs is a text, and the ledger has no recurrent cells"),
        ({"dataset": "folder:x"}, "upload it (`dartboard datasets add`)"),
        ({"gpus": 0}, "greater than or equal to 1"),
        ({"hours": 0}, "greater than 0"),
        ({"hours": "nan"}, "finite"),
        ({"hours": "inf"}, "finite"),
        ({"hours": None}, "hours"),
        ({"pool": "A pool"}, "pool"),
        ({"days": 1}, "days"),
    ],
)
def test_bad_parameters_are_refused_by_name(http: httpx.Client, changed: dict[str, Any], message: str) -> None:
    params = {"dataset": "digits", "gpus": 1, "hours": 1, **changed}
    answer = http.get("/advice", params={name: value for name, value in params.items() if value is not None})
    assert answer.status_code == 422
    assert message in answer.text
    assert answer.json()["errors"][0]["loc"] == ["query", *changed]


def test_the_command_prints_sentences_rows_and_the_line_that_starts_it(bench: Bench, http: httpx.Client) -> None:
    def printed(hours: float, *options: str) -> str:
        line = ["advise", "digits", f"--hours={hours}", f"--pool={bench.pool}", "--url", str(http.base_url), *options]
        answer = CliRunner().invoke(app, line)
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    shown = printed(1)
    found = AdviceOut.model_validate(json.loads(printed(1, "--json")))
    assert shown.startswith("\n".join(found.sentences))
    *_, search, evaluate = shown.splitlines()
    in_pool = f"--set pool={bench.pool}"
    chosen = f"--space {found.space} --method {found.method} --order 1 --epochs 6"
    assert search == f"dartboard search --dataset digits {chosen} {in_pool}"
    assert evaluate == f"dartboard evaluate ID --epochs 18 {in_pool}"
    trained_search(bench)
    trained_cell(bench)
    *_, study = printed(1000).splitlines()
    assert study.startswith("dartboard study --dataset digits --seeds 0,1,2,3 --search-epochs 6 ")
    queued = CliRunner().invoke(app, [*study.split()[1:], "--detach", "--json", "--url", str(http.base_url)])
    assert queued.exit_code == 0, queued.output
    job = json.loads(queued.stdout)
    assert job["spec"]["points"][0]["search"]["method"] == found.method
    assert job["pool"] == bench.pool
    http.post(f"/studies/{job['id']}/cancel")


def test_the_sdk_s_default_is_one_gpu_of_the_default_pool(dartboard: Dartboard) -> None:
    found = dartboard.advise("digits", hours=2)
    assert (found.gpus, found.hours, "pool" in found.body) == (1, 2.0, False)

"""Rules of retention clear what their preview says, never what is needed, and files without a row with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from typer.testing import CliRunner

from api.http.problems import ProblemError as ApiProblemError
from api.schemas.jobs import JobOut
from api.schemas.keys import Role
from api.schemas.retention import Cleared, RetentionOut
from client.cli import app
from client.errors import ProblemError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.checkpoint_files import ours
from tests.support.retained import Retained
from tests.support.s3 import new_bucket, serving_s3
from tests.support.service import Bench, Service
from worker.api_client import WorkerApi

_OWNERS = count()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One of its own: other tests' services have files that their tests have damaged or deleted."""
    data = tmp_path_factory.mktemp("directory")
    environment = {
        f"DARTBOARD_{name}_SECONDS": value for name, value in (("LEASE", "10"), ("SWEEP", "0.25"), ("WAKE", "0.25"))
    }
    with LocalStack(data, port=0, workers=0, environment=environment) as stack:
        key = json.loads((data / "secrets.json").read_text())["worker_key"]
        told = stack.processes["api"].command.environment
        yield Service(stack.url, key, data, told["DATABASE_URL"], told["REDIS_URL"])


@pytest.fixture
def directory(service: Service, bench: Bench) -> Retained:
    return Retained(bench, service.database_url, service.data / "artifacts")


@dataclass(frozen=True)
class _Bucket:
    url: str
    key: str
    database_url: str
    store: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def service_with_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Bucket]:
    data = tmp_path_factory.mktemp("bucket")
    with serving_s3() as server:
        name, environment = new_bucket(server)
        store = f"s3://{name}/below"
        with LocalStack(data, port=0, workers=0, environment={**environment, "ARTIFACTS_URL": store}) as stack:
            key = json.loads((data / "secrets.json").read_text())["worker_key"]
            database_url = stack.processes["api"].command.environment["DATABASE_URL"]
            yield _Bucket(stack.url, key, database_url, store, environment)


@pytest.fixture
def bucket(
    service_with_bucket: _Bucket, pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Retained]:
    for variable, value in service_with_bucket.environment.items():
        monkeypatch.setenv(variable, value)
    with (
        Dartboard(service_with_bucket.url) as sdk,
        WorkerApi(service_with_bucket.url, service_with_bucket.key) as api,
    ):
        bench = Bench(sdk, api, pool, tmp_path)
        yield Retained(bench, service_with_bucket.database_url, tmp_path, service_with_bucket.store)


@pytest.fixture(params=["directory", "bucket"])
def retained(request: pytest.FixtureRequest) -> Iterator[Retained]:
    """A service without rules, with its files in a directory or a bucket."""
    found: Retained = request.getfixturevalue(request.param)
    yield found
    found.execute("delete from retention_rules")


@pytest.fixture
def local(directory: Retained) -> Iterator[Retained]:
    yield directory
    directory.execute("delete from retention_rules")


@dataclass
class Made:
    """A job as the model below sees it."""

    job: JobOut
    owner: str
    days: int
    stored: list[int]
    best: int
    kept: set[int] = field(default_factory=set)


def owner_of(retained: Retained) -> tuple[str, Dartboard]:
    """A new owner."""
    name = f"owner-{os.getpid()}-{next(_OWNERS)}"
    return name, Dartboard(retained.admin.url, retained.admin.create_key(Role.USER, name).key)


def made(retained: Retained, random: Random, owner: str, sdk: Dartboard) -> Made:
    """A random job, with random pins. kept: the epochs that no rule clears."""
    epochs = random.randint(1, 6)
    best = random.randint(1, epochs)
    job = retained.job(
        epochs,
        kind=random.choice(["search", "evaluation"]),
        end=random.choices(["succeeded", "failed", "cancelled", "running"], [5, 1, 1, 1])[0],
        sdk=sdk,
        best=best,
        checkpoint_every=random.choice([1, 1, 2]),
    )
    found = Made(job, owner, random.randint(0, 30), retained.epochs(job), best)
    if job.status.ended:
        retained.age(job, found.days)
    if not job.status.ended or random.random() < 0.15:
        found.kept = set(found.stored)
        sdk.update(job.id, pinned=True)
    elif random.random() < 0.3:
        pinned = random.choice(found.stored)
        sdk.pin(job.id, pinned)
        found.kept = {pinned}
    return found


def rules(retained: Retained, random: Random, owners: Sequence[tuple[str, Dartboard]]) -> list[RetentionOut]:
    found = {}
    for _ in range(random.randint(1, 5)):
        owner, sdk = random.choice(owners)
        own = random.random() < 0.4
        rule = (sdk if own else retained.admin).set_retention(
            days=random.randint(0, 30),
            last=random.randint(0, 3),
            best=random.random() < 0.5,
            every=random.choice([None, 2, 3]),
            owner=owner if own else random.choice([None, owner]),
            kind=random.choice([None, "search", "evaluation"]),
        )
        found[rule.own, rule.owner, rule.kind] = rule
    return list(found.values())


def left(made: Made, rules: Sequence[RetentionOut]) -> set[int]:
    """The epochs that stay by the description in docs/storage.md."""
    stays = set(made.stored)
    for own in (False, True):
        fitting = [
            rule
            for rule in rules
            if rule.own is own and rule.owner in (None, made.owner) and rule.kind in (None, made.job.kind)
        ]
        if not fitting:
            continue
        rule = max(fitting, key=lambda each: (each.owner is not None, each.kind is not None))
        if made.days < rule.days:
            continue
        can_be_retried = made.job.status != "succeeded"
        newest = sorted(made.stored, reverse=True)[: max(rule.last, 1) if can_be_retried else rule.last]
        best = {made.best} if rule.best or can_be_retried else set()
        stays &= {*newest, *best, *(epoch for epoch in made.stored if rule.every and epoch % rule.every == 0)}
    return stays | made.kept


@pytest.mark.parametrize("seed", range(8))
def test_a_sweep_clears_what_the_rules_say_and_the_preview_has_told(retained: Retained, seed: int) -> None:
    random = Random(seed)
    owners = [owner_of(retained) for _ in range(2)]
    jobs = [made(retained, random, *random.choice(owners)) for _ in range(6)]
    set_rules = rules(retained, random, owners)
    expected = {each.job.id: sorted(set(each.stored) - left(each, set_rules)) for each in jobs}
    found = retained.admin.preview_retention(limit=1000)
    told = {job.id: job.epochs for job in found.jobs}
    assert {job_id: told.get(job_id, []) for job_id in expected} == expected
    before, named = retained.files(), retained.named()
    cleared = retained.sweep()
    assert (cleared.checkpoints, cleared.bytes) == (found.checkpoints, found.bytes)
    gone = named - retained.named()
    assert before.keys() - retained.files().keys() == gone
    assert sum(before[key] for key in gone) == found.bytes
    assert {each.job.id: retained.epochs(each.job) for each in jobs} == {
        each.job.id: sorted(left(each, set_rules) & set(each.stored)) for each in jobs
    }
    assert retained.sweep() == Cleared()


def test_without_a_rule_nothing_is_cleared(local: Retained) -> None:
    job = local.job(4)
    local.age(job, 1000)
    before = local.files()
    assert local.admin.preview_retention().checkpoints == 0
    assert local.sweep(orphans_older_than=0) == Cleared()
    assert (local.epochs(job), local.files()) == ([1, 2, 3, 4], before)


def test_a_rule_that_is_not_set_is_tried_and_clears_nothing(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(4, sdk=sdk)
    found = local.admin.preview_retention(owner=owner, days=0, last=1, best=False, every=2)
    assert [(each.id, each.epochs, each.bytes) for each in found.jobs] == [(job.id, [1, 3], 80)]
    assert [(each.owner, each.jobs, each.bytes) for each in found.owners] == [(owner, 1, 80)]
    assert local.sweep() == Cleared()
    assert local.epochs(job) == [1, 2, 3, 4]


def test_sweeps_of_two_processes_clear_each_checkpoint_once(retained: Retained) -> None:
    owner, sdk = owner_of(retained)
    jobs = [retained.job(4, sdk=sdk) for _ in range(3)]
    retained.admin.set_retention(days=0, owner=owner, best=False)
    done = [each for each in retained.sweeps(4) if each is not None]
    assert sum(each.checkpoints for each in done) == 9
    assert [retained.epochs(job) for job in jobs] == [[4]] * 3
    assert retained.named() <= retained.files().keys()


def test_a_job_that_can_be_retried_keeps_its_newest_checkpoint_and_goes_on_from_it(local: Retained) -> None:
    owner, sdk = owner_of(local)
    jobs = [local.job(3, sdk=sdk, end=end) for end in ("failed", "cancelled")]
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    for job in jobs:
        assert local.epochs(job) == [1, 3]  # the best and the newest one
        sdk.retry(job.id)
        assert local.bench.claim().resume.epoch == 3


def test_a_paused_job_keeps_all(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(3, sdk=sdk, end="running")
    local.execute("update jobs set status = 'paused', finished_at = now() - interval '1 day' where id = %s", job.id)
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    assert local.epochs(job) == [1, 2, 3]


def test_a_cleared_job_keeps_its_results_and_says_why_it_cannot_go_on(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(3, sdk=sdk)
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    assert (local.epochs(job), len(sdk.epochs(job.id))) == ([], 3)
    with pytest.raises(ProblemError, match="have been cleared"):
        sdk.extend(job.id, 9)
    with pytest.raises(ProblemError, match="have been cleared"):
        sdk.download_checkpoint(job.id, local.bench.folder)
    with pytest.raises(ProblemError, match="have been cleared"):
        sdk.submit("search", {"dataset": "digits", "init_from": {"job": str(job.id), "what": "weights"}})


def test_a_checkpoint_from_which_another_job_started_stays(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(4, sdk=sdk)
    start = {"job": str(job.id), "epoch": 2, "what": "all"}
    fork = local.bench.submit(init_from=start)
    local.admin.set_retention(days=0, owner=owner, best=False)
    local.sweep()
    assert local.epochs(job) == [2, 4]
    local.admin.cancel(fork.id)
    local.admin.delete(fork.id)
    local.sweep()
    assert local.epochs(job) == [4]


def test_children_keep_all_while_their_study_may_need_them_and_the_newest_while_it_can_be_retried(
    local: Retained,
) -> None:
    owner, sdk = owner_of(local)
    body = {"search": {"dataset": "digits", "epochs": 3, "checkpoint_every": 1}, "seeds": [0]}
    study = sdk.submit("study", {**body, "pool": local.bench.pool})
    next(event for event in sdk.follow(study) if event.kind == "child")
    training = local.bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch, os.urandom(30))
    child = local.end(training, "succeeded")
    local.age(child, 50)
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    assert local.epochs(child) == [1, 2, 3]
    sdk.cancel(study.id)
    local.sweep()
    assert local.epochs(child) == [1, 3]
    local.execute("update jobs set status = 'succeeded' where id = %s", study.id)
    sdk.update(study.id, pinned=True)
    local.sweep()
    assert local.epochs(child) == [1, 3]
    sdk.update(study.id, pinned=False)
    local.sweep()
    assert local.epochs(child) == []


def test_where_no_checkpoint_that_would_stay_is_intact_all_stay(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(3, sdk=sdk)
    [newest] = (local.folder / str(job.id)).rglob("*-epoch-3.pt")
    content = newest.read_bytes()
    newest.write_bytes(b"damaged" + content[7:])
    local.admin.set_retention(days=0, owner=owner, best=False)
    assert local.sweep() == Cleared()
    assert local.epochs(job) == [1, 2, 3]
    newest.write_bytes(content)
    assert local.sweep().checkpoints == 2
    assert local.epochs(job) == [3]


def test_a_pinned_checkpoint_of_a_running_job_outlasts_the_next_epochs(local: Retained) -> None:
    job = local.bench.submit(epochs=4)
    training = local.bench.claim()
    training.report(1, os.urandom(30))
    local.admin.pin(job.id, 1)
    training.report(2, os.urandom(30))
    training.report(3, os.urandom(30))
    assert local.epochs(job) == [1, 3]
    local.admin.pin(job.id, 1, pinned=False)
    training.report(4, os.urandom(30))
    assert local.epochs(job) == [4]


def test_a_pinned_job_keeps_all_until_it_is_unpinned(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(3, sdk=sdk)
    sdk.pin(job.id)
    local.admin.set_retention(days=0, best=False, owner=owner)
    local.sweep()
    assert local.epochs(job) == [1, 2, 3]
    sdk.pin(job.id, pinned=False)
    local.sweep()
    assert local.epochs(job) == [3]


def test_a_version_of_a_model_stays(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(4, sdk=sdk)
    [chosen] = [each for each in sdk.checkpoints(job.id) if each.epoch == 2]
    sdk.add_model(f"model-{owner}", chosen.id)
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    assert local.epochs(job) == [2]
    assert [each for each in local.admin.storage().frees_most if each.id == str(job.id)] == []


def test_a_job_from_which_a_schedule_starts_others_keeps_all(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(3, sdk=sdk)
    request = {"dataset": "digits", "init_from": {"job": str(job.id), "epoch": 1, "what": "all"}}
    schedule = sdk.add_schedule("search", request, cron="0 0 1 1 *")
    local.admin.set_retention(days=0, last=0, best=False, owner=owner)
    local.sweep()
    assert local.epochs(job) == [1, 2, 3]
    sdk.update_schedule(schedule.id, paused=True)
    local.sweep()
    assert local.epochs(job) == [1, 2, 3]
    sdk.remove_schedule(schedule.id)
    local.sweep()
    assert local.epochs(job) == []


def test_only_owner_and_admin_pin_a_checkpoint(local: Retained) -> None:
    _, ada = owner_of(local)
    _, bob = owner_of(local)
    job = local.job(2, sdk=ada)
    with pytest.raises(ProblemError) as refused:
        bob.pin(job.id, 1)
    assert refused.value.status == 403
    ada.pin(job.id, 1)
    assert [each.pinned for each in ada.checkpoints(job.id)] == [False, True]


def test_an_owner_may_keep_less_than_the_admins_rule_but_not_more(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(6, sdk=sdk)
    local.admin.set_retention(days=0, last=3, best=False, owner=owner)
    more = sdk.set_retention(days=365, last=6)
    assert (more.own, more.owner) == (True, owner)
    local.sweep()
    assert local.epochs(job) == [4, 5, 6]
    sdk.set_retention(days=0, last=2, best=False)
    local.sweep()
    assert local.epochs(job) == [5, 6]


def test_an_owner_sets_no_rule_of_others(local: Retained) -> None:
    (ada, _), (_, bob) = owner_of(local), owner_of(local)
    for change in (lambda: bob.set_retention(days=0, owner=ada), lambda: bob.remove_retention(owner=ada)):
        with pytest.raises(ProblemError, match=f"only {ada} and admins") as refused:
            change()
        assert refused.value.status == 403
    assert local.admin.retention() == []


def test_an_admin_sees_and_removes_an_owners_own_rule(local: Retained) -> None:
    owner, sdk = owner_of(local)
    sdk.set_retention(days=1)
    with pytest.raises(ProblemError, match=f"no rule for all jobs of {owner}"):
        local.admin.remove_retention(owner=owner)
    local.admin.remove_retention(owner=owner, own=True)
    assert local.admin.retention() == []


@pytest.mark.parametrize(
    ("params", "body", "said"),
    [
        ({"kind": "score"}, {"days": 1}, "a score has no checkpoints of epochs: give search or evaluation"),
        ({"own": "true"}, {"days": 1}, "owner: is required"),
        ({}, {"days": -1}, "days"),
        ({}, {"last": 2}, "days"),
        ({}, {"days": 1, "every": 0}, "every"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    http: httpx.Client, params: dict[str, str], body: dict[str, Any], said: str
) -> None:
    answer = http.put("/retention", params=params, json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


def test_a_process_that_dies_between_row_and_file_leaves_an_orphan_for_a_later_sweep(retained: Retained) -> None:
    owner, sdk = owner_of(retained)
    job = retained.job(3, sdk=sdk)
    retained.admin.set_retention(days=0, owner=owner, best=False)
    before = retained.files()
    program = """
        import asyncio, os, sys
        from pathlib import Path
        from api.artifacts import open_store
        from api.db.engine import Database
        from api.retention.sweep import RetentionSweeper

        url, folder, store = sys.argv[1:]
        artifacts = open_store(store or None, Path(folder), 2**30)

        async def die(keys):
            os.kill(os.getpid(), 9)

        artifacts.delete = die
        asyncio.run(RetentionSweeper(Database(url), artifacts).sweep())
    """
    arguments = [retained.database_url, str(retained.folder), retained.store or ""]
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(program), *arguments], check=False)
    assert died.returncode == -9
    assert (retained.epochs(job), retained.files()) == ([3], before)
    assert retained.sweep() == Cleared()  # the files are too young
    swept = retained.sweep(orphans_older_than=-60)
    assert (swept.orphans, swept.orphan_bytes) == (2, 80)
    assert {key for key in retained.files() if str(job.id) in key} == {
        key for key in retained.named() if str(job.id) in key
    }


def test_a_file_that_a_running_attempt_has_not_reported_yet_stays(retained: Retained) -> None:
    owner, _ = owner_of(retained)
    retained.admin.set_retention(days=0, owner=owner)
    job = retained.bench.submit()
    training = retained.bench.claim()
    path = retained.bench.folder / "epoch-1.pt"
    path.write_bytes(os.urandom(50))
    training.attempt.upload(path)
    assert [key for key in retained.files() if str(job.id) in key] != []
    assert retained.sweep(orphans_older_than=-60).orphans == 0
    retained.admin.cancel(job.id)
    assert retained.sweep(orphans_older_than=-60).orphans == 1
    assert [key for key in retained.files() if str(job.id) in key] == []


def test_sweeps_beside_uploads_take_no_file_that_a_row_names(local: Retained) -> None:
    owner, sdk = owner_of(local)
    local.admin.set_retention(days=0, owner=owner, best=False)
    over, swept, failures = threading.Event(), [], []

    def sweeping() -> None:
        while not over.is_set():
            try:
                swept.append(local.sweep(orphans_older_than=-60))
            except (ApiProblemError, AssertionError) as error:
                failures.append(error)

    beside = threading.Thread(target=sweeping)
    beside.start()
    try:
        jobs = [local.job(5, sdk=sdk) for _ in range(4)]
        uploads = [sdk.upload_checkpoint(_file(local, number)) for number in range(4)]
        for upload in uploads[:2]:
            sdk.delete_checkpoint(upload.id)
    finally:
        over.set()
        beside.join()
    assert failures == []
    assert len(swept) > 1
    local.sweep(orphans_older_than=-60)
    assert [local.epochs(job) for job in jobs] == [[5]] * 4
    found = local.files()
    assert local.named() <= found.keys()
    assert {f"uploads/{upload.sha256}.pt" in found for upload in uploads[2:]} == {True}


def _file(local: Retained, number: int) -> Path:
    path = local.bench.folder / f"own-{number}.pt"
    path.write_bytes(ours())
    return path


def test_the_commands_tell_what_is_cleared(local: Retained) -> None:
    owner, sdk = owner_of(local)
    job = local.job(4, sdk=sdk, name="a search")

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--url", local.admin.url])
        assert result.exit_code == 0, result.output
        return result.output

    assert "3 checkpoints, 120 B" in said("retention", "preview", "--days", "0", "--no-best", "--owner", owner)
    said("pin", f"{job.id}@1")
    assert str(job.id) in said("retention", "preview", "--days", "0", "--no-best", "--owner", owner)
    rule = ["--days", "0", "--no-best", "--owner", owner]
    assert owner in said("retention", "set", *rule)
    assert owner in said("retention")
    assert "cleared 2 checkpoints, 80 B" in said("retention", "sweep")
    said("unpin", f"{job.id}@1")
    assert "cleared 1 checkpoints, 40 B" in said("retention", "sweep")
    said("pin", str(job.id))
    assert sdk.job(job.id).pinned
    said("retention", "remove", "--owner", owner)
    assert UUID(json.loads(said("retention", "preview", "--days", "0", "--last", "0", "--json"))["jobs"][0]["id"])

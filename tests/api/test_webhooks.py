"""What happens to jobs is told to webhooks: signed, at least once, and to no private address."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from api.db.engine import Database
from api.db.models import Delivery
from api.jobs.locking import lock_job
from api.jobs.state_machine import move
from api.schemas.jobs import Failure, Status
from api.schemas.webhooks import WebhookCreated
from api.schemas.worker import Fail, Release
from api.webhooks.addresses import Addresses, is_public
from api.webhooks.sealing import Sealed, Sealer, UnsealableError
from api.webhooks.sender import Sender
from api.webhooks.signing import headers_of, new_secret
from client.cli import app
from client.errors import ProblemError
from tests.support.databases import plain
from tests.support.deliveries import settled
from tests.support.receiver import Receiver, is_signed, receiving
from tests.support.service import Bench, EndLease, Service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(bench: Bench, receiver: Receiver, job: Any, **fields: Any) -> WebhookCreated:
    """A webhook for one job: the other tests' jobs have the same owner."""
    return bench.dartboard.add_webhook(receiver.url, job=job.id, **fields)


def test_the_end_of_a_job_is_told_and_signed(bench: Bench, receiver: Receiver) -> None:
    job = bench.submit(name="mine", epochs=1, project="thesis", labels={"team": "vision"})
    created = hook(bench, receiver, job)
    training = bench.claim()
    training.report(1)
    training.finish()
    request = receiver.next()
    assert is_signed(request, created.secret)
    told = request.json
    assert (told["type"], request.headers["content-type"]) == ("job.succeeded", "application/json")
    about = told["data"]["job"]
    assert (about["id"], about["name"], about["project"]) == (str(job.id), "mine", "thesis")
    assert (about["status"], about["best"]["validation_accuracy"], about["labels"]) == (
        "succeeded",
        50,
        {"team": "vision"},
    )
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.tries, delivery.status, delivery.type) == ("delivered", 1, 204, "job.succeeded")
    assert (str(delivery.id), delivery.body) == (request.id, request.body.decode())


def test_a_failure_a_lost_worker_a_full_disk_and_a_cancellation_are_told(bench: Bench, receiver: Receiver) -> None:
    job = bench.submit()
    hook(bench, receiver, job)
    training = bench.claim()
    training.attempt.release(Release(n=training.number(), reason="disk_full", detail="no space"))
    told = receiver.next().json
    assert (told["type"], told["data"]["job"]["status"]) == ("job.disk_full", "paused")
    assert "no space" in told["data"]["reason"]
    bench.dartboard.resume(job.id)
    training = bench.claim()
    training.attempt.fail(Fail(n=training.number(), error=Failure(type="Killed", message="killed"), outcome="lost"))
    assert receiver.next().json["type"] == "job.worker_lost"
    training = bench.claim()
    training.attempt.fail(Fail(n=training.number(), error=Failure(type="ValueError", message="no"), outcome="failed"))
    told = receiver.next().json
    assert (told["type"], told["data"]["job"]["error"]) == ("job.failed", {"type": "ValueError", "message": "no"})
    bench.dartboard.retry(job.id)
    bench.dartboard.cancel(job.id)
    assert receiver.next().json["type"] == "job.cancelled"


def test_a_lease_that_ends_is_a_lost_worker(bench: Bench, receiver: Receiver, end_lease: EndLease) -> None:
    created = hook(bench, receiver, bench.submit(), events=["job.worker_lost"])
    end_lease(bench.claim())
    assert receiver.next().json["type"] == "job.worker_lost"
    assert len(settled(bench, created)) == 1


def test_only_the_wanted_events_are_sent(bench: Bench, receiver: Receiver) -> None:
    job = bench.submit()
    created = hook(bench, receiver, job, events=["job.failed"])
    bench.dartboard.cancel(job.id)
    assert list(bench.dartboard.deliveries(created.id)) == []


def test_a_slack_body_is_one_escaped_line(bench: Bench, receiver: Receiver) -> None:
    job = bench.submit(name="<b> & co", epochs=1)
    hook(bench, receiver, job, body="slack")
    training = bench.claim()
    training.report(1)
    training.finish()
    assert receiver.next().json == {"text": "search &lt;b&gt; &amp; co succeeded, best validation accuracy 50"}


def test_a_refused_message_is_sent_again_with_the_same_id_and_body(bench: Bench, receiver: Receiver) -> None:
    receiver.statuses = [500, 429]
    job = bench.submit()
    created = hook(bench, receiver, job)
    bench.dartboard.cancel(job.id)
    tries = [receiver.next() for _ in range(3)]
    assert len({(each.id, each.body) for each in tries}) == 1
    assert all(is_signed(each, created.secret) for each in tries)
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.tries, delivery.status, delivery.error) == ("delivered", 3, 204, None)


def test_a_redirect_is_not_followed(bench: Bench, receiver: Receiver) -> None:
    with receiving() as other:
        receiver.statuses, receiver.location = [302], other.url
        created = hook(bench, receiver, job := bench.submit())
        bench.dartboard.cancel(job.id)
        receiver.next()
        receiver.location = None
        receiver.next()
        assert other.requests.empty()
    assert [each.state for each in settled(bench, created)] == ["delivered"]


def test_a_receiver_that_has_gone_gets_nothing_more_until_it_is_asked_for(bench: Bench, receiver: Receiver) -> None:
    receiver.statuses = [410]
    created = hook(bench, receiver, job := bench.submit())
    bench.dartboard.cancel(job.id)
    first = receiver.next()
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.status) == ("failed", 410)
    [listed] = [each for each in bench.dartboard.webhooks() if each.id == created.id]
    assert "410" in (listed.disabled or "")
    bench.dartboard.retry(job.id)
    bench.dartboard.cancel(job.id)
    assert len(list(bench.dartboard.deliveries(created.id))) == 1
    bench.dartboard.retry_delivery(created.id, delivery.id)
    assert receiver.next().id == first.id
    assert [each.state for each in settled(bench, created)] == ["delivered"]


def test_a_message_is_given_up_after_ten_tries(bench: Bench, service: Service, receiver: Receiver) -> None:
    receiver.statuses = [503] * 2
    created = hook(bench, receiver, job := bench.submit())
    bench.dartboard.cancel(job.id)
    receiver.next()
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "update webhook_deliveries set tries = 9, next_at = now() where webhook_id = %s", (created.id,)
        )
    receiver.next()
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.tries, delivery.error) == ("failed", 10, "it answered 503")


def test_a_try_whose_process_died_is_repeated(bench: Bench, service: Service, receiver: Receiver) -> None:
    created = hook(bench, receiver, job := bench.submit())
    bench.dartboard.cancel(job.id)
    receiver.next()
    settled(bench, created)
    with psycopg.connect(plain(service.database_url)) as connection:  # as a claim leaves it, whose lease is over
        connection.execute(
            "update webhook_deliveries set state = 'pending', next_at = now() - interval '1 s' where webhook_id = %s",
            (created.id,),
        )
    receiver.next()


def test_the_last_message_of_a_deleted_job_arrives(bench: Bench, service: Service, receiver: Receiver) -> None:
    receiver.statuses = [503]
    created = hook(bench, receiver, job := bench.submit())
    bench.dartboard.cancel(job.id)
    receiver.next()
    bench.dartboard.delete(job.id)
    assert receiver.next().json["data"]["job"]["id"] == str(job.id)
    assert [each.state for each in settled(bench, created)] == ["delivered"]
    asyncio.run(cleared(service))
    assert created.id in {each.id for each in bench.dartboard.webhooks()}
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute("update webhook_deliveries set created_at = now() - interval '31 d'")
    asyncio.run(cleared(service))
    assert created.id not in {each.id for each in bench.dartboard.webhooks()}


async def cleared(service: Service) -> None:
    """As the service does every hour."""
    database = Database(service.database_url)
    try:
        await Sender(database, Addresses(), None, retry_seconds=1).clear()
    finally:
        await database.close()


def test_a_message_is_not_held_up_by_a_clock_that_was_set_back(
    bench: Bench, service: Service, receiver: Receiver
) -> None:
    created = hook(bench, receiver, job := bench.submit())
    bench.dartboard.cancel(job.id)
    receiver.next()
    settled(bench, created)
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "update webhook_deliveries set state = 'pending', next_at = now() + interval '1 h' where webhook_id = %s",
            (created.id,),
        )
    receiver.next()


def test_a_ping_tells_of_nothing(bench: Bench, receiver: Receiver) -> None:
    created = bench.dartboard.add_webhook(receiver.url, events=["job.failed"])
    assert bench.dartboard.ping_webhook(created.id).type == "ping"
    request = receiver.next()
    assert is_signed(request, created.secret)
    assert (request.json["type"], request.json["data"]) == ("ping", {})
    bench.dartboard.remove_webhook(created.id)


def test_the_end_of_a_child_is_told_by_its_parents_alone(bench: Bench, receiver: Receiver) -> None:
    created = bench.dartboard.add_webhook(receiver.url)
    study = bench.dartboard.submit("study", {"search": {"dataset": "digits"}, "pool": bench.pool})
    bench.dartboard.cancel(study.id)
    while (told := receiver.next().json)["data"]["job"]["id"] != str(study.id):
        assert told["data"]["job"]["kind"] != "search"
    bench.dartboard.remove_webhook(created.id)


def test_nothing_of_a_rolled_back_transaction_is_told(bench: Bench, service: Service, receiver: Receiver) -> None:
    job = bench.submit()
    created = hook(bench, receiver, job)
    assert asyncio.run(cancelled_and_rolled_back(service, job.id)) == 1
    assert list(bench.dartboard.deliveries(created.id)) == []


async def cancelled_and_rolled_back(service: Service, job_id: UUID) -> int:
    """The messages that were queued before the transaction was rolled back."""
    database = Database(service.database_url)
    try:
        async with database.transaction() as session:
            job = await lock_job(session, job_id)
            assert job is not None
            await move(session, job, Status.CANCELLED, "never")
            queued = len((await session.scalars(select(Delivery).where(Delivery.job_id == job_id))).all())
            await session.rollback()
            return queued
    finally:
        await database.close()


# Where a webhook must not reach, in each spelling that the resolver knows.
PRIVATE = [
    "http://localhost/",
    "http://127.0.0.2:8000/",
    "http://2130706434/",
    "http://0x7f.2/",
    "http://017700000002/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://172.16.5.4/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://255.255.255.255/",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_refused(bench: Bench, url: str) -> None:
    with pytest.raises(ProblemError, match=r"not a public address.*DARTBOARD_WEBHOOK_HOSTS") as refused:
        bench.dartboard.add_webhook(url)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1/", "https:// or http://"),
        ("file:///etc/passwd", "https:// or http://"),
        ("http://two words/", "not a URL"),
        ("127.0.0.1/hook", "not a URL"),
        ("http://", "not a URL .empty host."),
        ("http://user:word@127.0.0.1/", "name and password"),
        ("http://no-such-host.invalid/", "not known here"),
        ("http://127.0.0.1:99999/", "invalid port number"),
        ("http://127.0.0.1:0/", "not a port"),
        ("http://[::1/", "not a URL"),
        (f"http://127.0.0.1/{'x' * 2000}", "at most 2000"),
    ],
)
def test_what_is_no_url_is_refused(bench: Bench, url: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said) as refused:
        bench.dartboard.add_webhook(url)
    assert refused.value.status == 422


def test_a_host_that_became_private_is_not_reached(bench: Bench, service: Service, receiver: Receiver) -> None:
    created = hook(bench, receiver, job := bench.submit())
    key = json.loads((service.data / "secrets.json").read_text())["webhook_key"]
    rebound = Sealer(key).seal(Sealed(receiver.url.replace("127.0.0.1", "localhost"), created.secret))
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute("update webhooks set sealed = %s where id = %s", (rebound, created.id))
    bench.dartboard.cancel(job.id)
    deadline = time.monotonic() + 30
    while not (found := list(bench.dartboard.deliveries(created.id)))[0].error:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "not a public address" in (found[0].error or "")
    assert receiver.requests.empty()
    bench.dartboard.remove_webhook(created.id)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_url_and_secret_are_stored_encrypted_and_not_shown(
    bench: Bench, http: httpx.Client, service: Service, receiver: Receiver
) -> None:
    created = hook(bench, receiver, bench.submit(), name="mine")
    listed = http.get("/webhooks").text
    assert '"mine"' in listed
    assert "secret-token" not in listed
    assert created.secret not in listed
    with psycopg.connect(plain(service.database_url)) as connection:
        [row] = connection.execute("select * from webhooks where id = %s", (created.id,))
    assert "secret-token" not in str(row)
    assert "secret-token" not in (service.data / "logs" / "api.log").read_text()


def test_another_key_does_not_open_a_seal() -> None:
    sealed = Sealer("k" * 16).seal(Sealed("http://a/", new_secret()))
    assert Sealer("k" * 16).unseal(sealed).url == "http://a/"
    with pytest.raises(UnsealableError, match="create it again"):
        Sealer("l" * 16).unseal(sealed)


def test_signatures_are_those_of_the_standards_example() -> None:
    headers = headers_of(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("change", [{"events": []}, {"events": ["job.eaten"]}, {"body": "pager"}, {"secret": "x"}])
def test_bad_wishes_are_refused(http: httpx.Client, receiver: Receiver, change: dict[str, Any]) -> None:
    answer = http.post("/webhooks", json={"url": receiver.url, **change})
    assert answer.status_code == 422
    assert next(iter(change)) in answer.text


def test_a_webhook_of_an_unknown_job_is_refused(bench: Bench, receiver: Receiver) -> None:
    with pytest.raises(ProblemError, match="no job") as refused:
        bench.dartboard.add_webhook(receiver.url, job="01a204dd-203c-7526-803f-c3ac98d05626")
    assert refused.value.status == 404


def test_twenty_are_enough(bench: Bench, service: Service, receiver: Receiver) -> None:
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute("delete from webhooks")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: added(bench, receiver), range(24)))
    assert sum(each is not None for each in made) == 20
    with pytest.raises(ProblemError, match="you have 20 webhooks"):
        bench.dartboard.add_webhook(receiver.url)
    hook(bench, receiver, bench.submit())
    for each in bench.dartboard.webhooks():
        bench.dartboard.remove_webhook(each.id)


def added(bench: Bench, receiver: Receiver) -> WebhookCreated | None:
    """None where it was one too many."""
    try:
        return bench.dartboard.add_webhook(receiver.url, events=["job.failed"])
    except ProblemError:
        return None


def test_the_command_adds_lists_pings_repeats_and_removes(bench: Bench, receiver: Receiver) -> None:
    def run(*arguments: str) -> str:
        line = ["webhooks", *arguments, "--url", bench.dartboard.url]
        answer = CliRunner().invoke(app, line, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    created = json.loads(run("add", receiver.url, "--event", "job.failed", "--name", "pager", "--json"))
    assert run("add", receiver.url, "--event", "job.failed").startswith("whsec_")
    assert "pager" in run("list", "--wide")
    run("ping", created["id"])
    first = receiver.next()
    assert first.id in run("deliveries", created["id"], "--wide")
    run("retry", created["id"], first.id)
    assert receiver.next().id == first.id
    for each in bench.dartboard.webhooks():
        run("remove", str(each.id))
    assert bench.dartboard.webhooks() == []

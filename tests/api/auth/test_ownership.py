"""Objects belong to the owner of the key that created them."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.archives import pets, tar_of
from tests.support.checkpoint_files import ours
from tests.support.keys import Guarded, Person, submitted
from tests.support.service import Service

ACTIONS = ("cancel", "pause", "resume", "retry")


@pytest.mark.parametrize("action", [*ACTIONS, "patch", "delete"])
def test_another_users_job_is_read_but_not_changed(person: Person, action: str) -> None:
    ada, bob = person("user"), person("user")
    job = submitted(ada)
    path = f"/searches/{job.id}"
    if action == "patch":
        refused = bob.patch(path, json={"priority": 9})
    elif action == "delete":
        refused = bob.delete(path)
    else:
        refused = bob.post(f"{path}/{action}")
    assert refused.status_code == 403
    assert str(job.owner) in refused.json()["detail"]
    assert bob.get(path).json() == ada.get(path).json()


@pytest.mark.parametrize("spelling", ["{0.hex}", "urn:uuid:{0}", "%7B{0}%7D"])
def test_another_spelling_of_an_id_is_no_way_around_the_owner(person: Person, spelling: str) -> None:
    ada, bob = person("user"), person("user")
    job = submitted(ada)
    assert bob.post(f"/searches/{spelling.format(job.id)}/cancel").status_code in (403, 422)
    assert ada.get(f"/searches/{job.id}").json()["status"] == "queued"


def test_another_collection_is_no_way_around_the_owner(person: Person) -> None:
    job = submitted(person("user"))
    assert person("user").post(f"/evaluations/{job.id}/cancel").status_code == 403


def test_another_users_search_is_a_state_to_start_from_as_it_can_be_read(person: Person) -> None:
    job = submitted(person("user"))
    body = {"dataset": "digits", "pool": "unserved", "init_from": {"job": str(job.id)}}
    refused = person("user").post("/searches", json=body)
    assert (refused.status_code, "has no checkpoint yet" in refused.text) == (409, True)


def test_a_job_shows_its_owner(person: Person) -> None:
    owner = f"ada-{uuid4().hex[:8]}"
    ada = person("user", owner)
    assert submitted(ada).owner == owner
    assert ada.get("/jobs").json()["items"][0]["owner"] == owner


def test_a_new_key_of_the_same_owner_keeps_the_old_ones_jobs(guarded: Guarded, admin: httpx.Client) -> None:
    owner = f"ada-{uuid4().hex[:8]}"
    old = guarded.make("user", owner)
    with guarded.http(old.key) as http:
        job = submitted(http)
    new = guarded.make("user", owner)
    admin.delete(f"/keys/{old.id}")
    with guarded.http(new.key) as http:
        assert http.post(f"/searches/{job.id}/cancel").status_code == 200


def test_an_admin_changes_everybodys_jobs(person: Person, admin: httpx.Client) -> None:
    job = submitted(person("user"))
    assert admin.post(f"/searches/{job.id}/cancel").json()["status"] == "cancelled"


def test_objects_created_without_a_key_are_changed_by_admins_only(service: Service, http: httpx.Client) -> None:
    job = submitted(http)
    made = http.post("/keys", json={"role": "user", "owner": "ada"}).json()
    refused = http.post(f"/searches/{job.id}/cancel", headers={"X-API-Key": made["key"]})
    assert refused.status_code == 403
    assert http.post(f"/searches/{job.id}/cancel").status_code == 200


def test_a_job_that_is_not_there_is_404_for_any_user(person: Person) -> None:
    assert person("user").post(f"/searches/{uuid4()}/cancel").status_code == 404


def test_another_users_data_set_stays(person: Person) -> None:
    ada, bob, name = person("user"), person("user"), f"pets-{uuid4().hex[:8]}"
    ada.post("/datasets", data={"name": name}, files={"file": ("pets.tar", tar_of(pets()))})
    assert bob.delete(f"/datasets/{name}").status_code == 403
    assert bob.get(f"/datasets/{name}").status_code == 200


def test_another_users_genotype_stays(person: Person) -> None:
    ada, bob, name = person("user"), person("user"), f"cell-{uuid4().hex[:8]}"
    text = ada.get("/genotypes/DARTS_V2?format=python").text
    ada.post("/genotypes", json={"name": name, "genotype": text})
    assert bob.delete(f"/genotypes/{name}").status_code == 403
    assert ada.delete(f"/genotypes/{name}").status_code == 204


def test_a_file_that_two_users_upload_goes_with_neither_alone(person: Person) -> None:
    ada, bob, content = person("user"), person("user"), ours()

    def upload(http: httpx.Client) -> dict[str, Any]:
        return dict(http.post("/checkpoints", files={"file": ("my.pt", content)}).json())

    of_ada, of_bob = upload(ada), upload(bob)
    assert of_ada["id"] != of_bob["id"]
    assert bob.delete(f"/checkpoints/{of_ada['id']}").status_code == 403
    assert ada.delete(f"/checkpoints/{of_ada['id']}").status_code == 204
    assert bob.get(f"/checkpoints/{of_bob['id']}").content == content


def test_another_users_webhook_is_neither_shown_nor_changed(person: Person, admin: httpx.Client) -> None:
    mine, others = person("user"), person("user")
    created = mine.post("/webhooks", json={"url": "http://127.0.0.1:9/", "name": "mine"}).json()
    path = f"/webhooks/{created['id']}"
    assert others.get("/webhooks").json() == {"items": []}
    assert others.get(f"{path}/deliveries").status_code == 404
    assert [others.post(f"{path}/ping").status_code, others.delete(path).status_code] == [403, 403]
    assert created["id"] in {each["id"] for each in admin.get("/webhooks").json()["items"]}
    assert mine.delete(path).status_code == 204


def test_events_of_a_job_go_to_its_owners_webhooks_alone(person: Person) -> None:
    mine, others = person("user"), person("user")
    hooks = [each.post("/webhooks", json={"url": "http://127.0.0.1:9/"}).json()["id"] for each in (mine, others)]
    job = submitted(mine)
    assert mine.post(f"/searches/{job.id}/cancel").status_code == 200
    told = [
        each.get(f"/webhooks/{hook}/deliveries").json()["items"]
        for each, hook in zip((mine, others), hooks, strict=True)
    ]
    assert [[delivery["job"] for delivery in deliveries] for deliveries in told] == [[str(job.id)], []]
    for each, hook in zip((mine, others), hooks, strict=True):
        assert each.delete(f"/webhooks/{hook}").status_code == 204


def test_two_users_who_choose_the_same_idempotency_key_do_not_meet(person: Person) -> None:
    ada, bob = person("user"), person("user")
    headers, body = {"Idempotency-Key": uuid4().hex}, {"dataset": "digits", "pool": "unserved"}
    first, again, of_bob = (h.post("/searches", json=body, headers=headers).json()["id"] for h in (ada, ada, bob))
    assert first == again != of_bob


def test_an_attempts_token_opens_no_other_attempt(guarded: Guarded, person: Person) -> None:
    pool, claims = f"test-{uuid4().hex[:12]}", []
    ada, worker = person("user"), person("worker")
    for _ in range(2):
        submitted(ada, pool=pool)
        claims.append(worker.post("/worker/claim", json={"worker": "w", "pool": pool, "threads": 1}).json())
    first, second = claims
    path = f"/worker/attempts/{second['attempt_id']}/release"
    stolen = worker.post(path, headers={"X-Attempt-Token": first["token"]}, json={"n": 1, "reason": "shutdown"})
    assert stolen.status_code == 403
    assert ada.get(f"/jobs/{second['job_id']}").json()["status"] == "running"


def test_a_failed_upload_keeps_its_name_from_others_and_gives_it_back_to_its_owner(person: Person) -> None:
    ada, bob, name = person("user", "ada"), person("user", "bob"), f"pets-{uuid4().hex[:8]}"

    def post(http: httpx.Client, archive: bytes) -> int:
        return http.post("/datasets", data={"name": name}, files={"file": ("pets.tar", archive)}).status_code

    assert post(ada, tar_of({"cat/0.png": b"no image"})) == 201
    deadline = time.monotonic() + 20
    while ada.get(f"/datasets/{name}").json()["state"] == "checking" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert post(bob, tar_of(pets())) == 409
    assert post(ada, tar_of(pets())) == 201

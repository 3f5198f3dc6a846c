"""Data sets through a running API: uploads, their checks, and the jobs that use them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from PIL import Image

from api.schemas.datasets import DatasetDetail
from client.sdk import Dartboard
from darts_core.data.packed import read
from tests.support.archives import pets, picture, tar_of
from tests.support.databases import plain
from tests.support.service import Bench, Service


@pytest.fixture
def name() -> str:
    return f"pets-{uuid4().hex[:8]}"


@pytest.fixture
def post(http: httpx.Client) -> Callable[..., httpx.Response]:
    def send(name: str, content: bytes | None = None, key: str | None = None, **fields: Any) -> httpx.Response:
        files = {"file": ("pets.tar", tar_of(pets()) if content is None else content)}
        headers = {"Idempotency-Key": key} if key else {}
        return http.post("/datasets", data={"name": name, **fields}, files=files, headers=headers)

    return send


@pytest.fixture
def ready(post: Callable[..., httpx.Response], dartboard: Dartboard) -> Callable[..., DatasetDetail]:
    """Uploads and waits until it is checked."""

    def bring(name: str, content: bytes | None = None, **fields: Any) -> DatasetDetail:
        answer = post(name, content, **fields)
        assert answer.status_code == 201, answer.text
        return dartboard.wait_for_dataset(name)

    return bring


def test_uploaded_set_is_checked_and_shown_with_all_that_is_known(
    ready: Callable[..., DatasetDetail], name: str, service: Service
) -> None:
    dataset = ready(name, tar_of({**pets(), "cat/notes.png": b"text"}))
    assert dataset.state == "ready", dataset.error
    assert dataset.class_names == ["cat", "dog"]
    assert dataset.sizes is not None
    assert dataset.image is not None
    assert (dataset.sizes.train, dataset.sizes.valid, dataset.sizes.test) == (29, 3, 8)
    assert (dataset.image.height, dataset.image.width, dataset.image.channels) == (8, 8, 1)
    assert dataset.held_out == ["test", "valid"]
    assert dataset.report is not None
    assert [file.file for file in dataset.report.files] == ["cat/notes.png"]
    assert not list((service.data / "artifacts" / "datasets" / "uploads").iterdir())


def test_upload_answers_at_once_with_its_place(post: Callable[..., httpx.Response], name: str) -> None:
    answer = post(name)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/datasets/{name}"
    assert answer.json()["state"] == "checking"


def test_same_images_under_two_names_share_a_checksum_and_the_file_goes_with_the_last(
    ready: Callable[..., DatasetDetail], dartboard: Dartboard, name: str, service: Service
) -> None:
    files = pets(5000)
    first, second = ready(name, tar_of(files)), ready(f"{name}-b", tar_of(dict(reversed(files.items()))))
    assert first.checksum == second.checksum
    stored = service.data / "artifacts" / "datasets" / f"{first.checksum}.safetensors"
    dartboard.remove_dataset(name)
    assert stored.exists()
    dartboard.remove_dataset(f"{name}-b")
    assert not stored.exists()


def test_unusable_set_is_failed_with_cause_and_cannot_be_searched_on(
    ready: Callable[..., DatasetDetail], http: httpx.Client, name: str
) -> None:
    dataset = ready(name, tar_of({f"cat/{i}.png": picture(i) for i in range(5)}))
    assert dataset.state == "failed"
    assert dataset.error is not None
    assert "only one class" in dataset.error
    answer = http.post("/searches", json={"dataset": name})
    assert answer.status_code == 422
    assert "only one class" in answer.json()["detail"]


def test_the_name_of_a_failed_upload_is_free_again(ready: Callable[..., DatasetDetail], name: str) -> None:
    assert ready(name, tar_of({"cat/0.png": b"no image"})).state == "failed"
    again = ready(name, tar_of(pets(8000)))
    assert (again.state, again.error) == ("ready", None)


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"name": "../x"}, 422, "name"),
        ({"name": "digits"}, 409, "built-in"),
        ({"kind": "text", "size": "8"}, 422, "applies to images only"),
        ({"size": "2"}, 422, "size"),
        ({"colour": "x"}, 422, "colour"),
        ({"path": "pets"}, 422, "path"),
    ],
)
def test_upload_with_a_bad_field_is_refused_by_name(
    post: Callable[..., httpx.Response], name: str, fields: dict[str, str], status: int, says: str
) -> None:
    answer = post(**{"name": name, **fields})
    assert answer.status_code == status
    assert says in answer.text


def test_a_file_that_is_no_archive_is_refused_on_upload(post: Callable[..., httpx.Response], name: str) -> None:
    for content in (b"hello", b"hello" * 1000):
        answer = post(name, content)
        assert answer.status_code == 422
        assert "neither a tar" in answer.json()["detail"]


def test_form_without_a_file_and_broken_bodies_are_refused(http: httpx.Client, name: str) -> None:
    assert http.post("/datasets", files={"name": (None, name)}).status_code == 422
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert http.post("/datasets", content=b"--x\r\nbroken", headers=form).status_code == 400
    form = {"Content-Type": "multipart/form-data"}
    assert http.post("/datasets", content=b"", headers=form).status_code == 400
    assert http.post("/datasets", content=b"[]", headers={"Content-Type": "application/json"}).status_code == 400
    assert http.post("/datasets", json={"name": name}).status_code == 422


def test_deeply_nested_json_is_refused(http: httpx.Client) -> None:
    answer = http.post("/datasets", content=b"[" * 3_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert "nested too deeply" in answer.json()["detail"]


def test_refused_upload_leaves_nothing_behind(
    post: Callable[..., httpx.Response], ready: Callable[..., DatasetDetail], name: str, service: Service
) -> None:
    ready(name)
    assert post(name, tar_of(pets(7000))).status_code == 409
    assert post("a b").status_code == 422
    assert not list((service.data / "artifacts" / "datasets" / "uploads").iterdir())
    assert not [path for path in (service.data / "artifacts" / "incoming").rglob("*") if path.is_file()]


def test_repeated_upload_with_a_key_answers_the_first_set(post: Callable[..., httpx.Response], name: str) -> None:
    key = uuid4().hex
    first, again = post(name, key=key), post(name, key=key)
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["created_at"] == first.json()["created_at"]
    assert post(name, tar_of(pets(1)), key=key).status_code == 409


def test_folder_under_the_data_root_is_taken_by_its_path(
    http: httpx.Client, dartboard: Dartboard, name: str, service: Service
) -> None:
    for file, content in pets(300).items():
        path = service.data / "datasets" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    answer = http.post("/datasets", json={"name": name, "path": name})
    assert answer.status_code == 201, answer.text
    dataset = dartboard.wait_for_dataset(name)
    assert (dataset.state, dataset.source) == ("ready", "path")


def test_deletion_and_a_check_of_the_same_content_wait_for_each_other(
    ready: Callable[..., DatasetDetail],
    post: Callable[..., httpx.Response],
    dartboard: Dartboard,
    service: Service,
    name: str,
) -> None:
    checksum = ready(name).checksum
    assert checksum is not None

    def delete() -> int:
        with service.http as client:
            return client.delete(f"/datasets/{name}").status_code

    database = plain(_api_process(service).environ()["DATABASE_URL"])
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with ThreadPoolExecutor() as threads, psycopg.connect(database, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [checksum])
        assert post(f"{name}-again").status_code == 201
        deleted = threads.submit(delete)
        within = time.monotonic() + 15
        while connection.execute(waiting).fetchone() != (2,):
            assert time.monotonic() < within, "the check and the deletion do not both wait for the content's lock"
            time.sleep(0.02)
        connection.execute("select pg_advisory_unlock_all()")
        assert deleted.result() == 204
    again = dartboard.wait_for_dataset(f"{name}-again")
    assert (again.state, again.checksum) == ("ready", checksum)
    assert (service.data / "artifacts" / "datasets" / f"{checksum}.safetensors").is_file()


@pytest.mark.parametrize("path", ["..", "../secrets", "/etc", ".", "no/such", "a\0b"])
def test_path_that_is_no_folder_below_the_data_root_is_refused(http: httpx.Client, name: str, path: str) -> None:
    answer = http.post("/datasets", json={"name": name, "path": path})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "path"]


def test_built_in_sets_are_listed_and_cannot_be_deleted(http: httpx.Client) -> None:
    listed = {d["name"]: d for d in http.get("/datasets").json()["items"]}
    assert {"digits", "cifar10", "cifar100", "fashion-mnist"} <= listed.keys()
    assert http.get("/datasets/digits").json()["sizes"] == {"train": 1437, "valid": 0, "test": 360}
    assert http.delete("/datasets/digits").status_code == 409


def test_unknown_names_are_not_found_or_refused_with_the_known_ones(
    ready: Callable[..., DatasetDetail], http: httpx.Client, name: str
) -> None:
    ready(name)
    assert http.get("/datasets/nobody").status_code == 404
    assert http.delete("/datasets/nobody").status_code == 404
    answer = http.post("/searches", json={"dataset": "nobody"})
    assert answer.status_code == 422
    assert "cifar100" in answer.json()["detail"]
    assert name in answer.json()["detail"]


def test_job_keeps_the_content_that_its_set_had(
    ready: Callable[..., DatasetDetail], bench: Bench, dartboard: Dartboard, http: httpx.Client, name: str
) -> None:
    first = ready(name)
    job = bench.submit(dataset=name, batch_size=8)
    assert job.spec["dataset_checksum"] == first.checksum
    training = bench.claim()
    training.report(1)
    assert training.claimed.spec["dataset_checksum"] == first.checksum
    assert dartboard.genotype(job.id).family == "cnn"
    dartboard.cancel(job.id)
    dartboard.remove_dataset(name)
    second = ready(name, tar_of(pets(900)))
    assert second.checksum != first.checksum
    # Neither a retry nor an evaluation of its cell takes other data for the same.
    assert http.post(f"/searches/{job.id}/retry").status_code == 409
    answer = http.post("/evaluations", json={"search_id": str(job.id), "batch_size": 8})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "dataset_checksum"]
    named = http.post("/evaluations", json={"search_id": str(job.id), "batch_size": 8, "dataset": name})
    assert named.json()["spec"]["dataset_checksum"] == second.checksum
    dartboard.cancel(named.json()["id"])


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("/searches", {"batch_size": 15}, "batch_size"),
        ("/evaluations", {"genotype": "DARTS", "batch_size": 30}, "batch_size"),
        ("/evaluations", {"genotype": "DARTS", "batch_size": 8, "auxiliary": True}, "auxiliary"),
        ("/searches", {"batch_size": 8, "dataset_checksum": "ab" * 32}, "dataset_checksum"),
    ],
)
def test_a_spec_that_cannot_run_on_an_uploaded_set_is_refused_by_its_field(
    ready: Callable[..., DatasetDetail], http: httpx.Client, name: str, path: str, fields: dict[str, Any], field: str
) -> None:
    ready(name)
    answer = http.post(path, json={"dataset": name, **fields})
    assert answer.status_code == 422
    assert {e["loc"][-1] for e in answer.json()["errors"]} == {field}


def test_set_in_use_is_not_deleted_before_its_jobs_have_ended(
    ready: Callable[..., DatasetDetail], bench: Bench, dartboard: Dartboard, http: httpx.Client, name: str
) -> None:
    ready(name)
    job = bench.submit(dataset=name, batch_size=8)
    refused = http.delete(f"/datasets/{name}")
    assert refused.status_code == 409
    assert str(job.id) in refused.json()["detail"]
    dartboard.cancel(job.id)
    assert http.delete(f"/datasets/{name}").status_code == 204


def test_worker_gets_the_packed_set_with_its_key_and_in_parts(
    ready: Callable[..., DatasetDetail], service: Service, http: httpx.Client, name: str, tmp_path: Path
) -> None:
    checksum = ready(name).checksum
    assert checksum is not None
    path, key = f"/worker/datasets/{checksum}", {"Authorization": f"Bearer {service.worker_key}"}
    assert http.get(path).status_code == 401
    whole = http.get(path, headers=key)
    assert hashlib.sha256(whole.content).hexdigest() == checksum
    part = http.get(path, headers={**key, "Range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, whole.content[100:])
    assert http.get(f"/worker/datasets/{'ab' * 32}", headers=key).status_code == 404
    (tmp_path / "packed").write_bytes(whole.content)
    assert read(tmp_path / "packed", checksum).classes == ("cat", "dog")


def test_sdk_packs_a_folder_on_the_way_to_the_same_checksum(
    ready: Callable[..., DatasetDetail], dartboard: Dartboard, name: str, tmp_path: Path
) -> None:
    for file, content in pets(40).items():
        (tmp_path / "zoo" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "zoo" / file).write_bytes(content)
    (tmp_path / "zoo" / ".hidden").write_bytes(b"x")
    sent: list[int] = []
    dartboard.add_dataset(f"{name}-folder", tmp_path / "zoo", progress=sent.append)
    assert dartboard.wait_for_dataset(f"{name}-folder").checksum == ready(name, tar_of(pets(40))).checksum
    assert sent == sorted(sent)
    assert sent[-1] > 0


def test_large_upload_passes_through_the_api_without_staying_in_its_memory(
    dartboard: Dartboard, name: str, tmp_path: Path, service: Service
) -> None:
    with tarfile.open(tmp_path / "large.tar", "w") as archive:
        for file, content in pets().items():
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        padding = tarfile.TarInfo("cat/large.bin")
        padding.size = 200 * 2**20
        with Path("/dev/zero").open("rb") as zeros:
            archive.addfile(padding, zeros)
    api = _api_process(service)
    before = api.memory_info().rss
    dartboard.add_dataset(name, tmp_path / "large.tar")
    assert api.memory_info().rss < before + 50 * 2**20
    assert dartboard.wait_for_dataset(name).state == "ready"
    dartboard.remove_dataset(name)


def _api_process(service: Service) -> psutil.Process:
    port = str(httpx.URL(service.url).port)
    [found] = [p for p in psutil.process_iter(["cmdline"]) if {"api", "--port", port} <= set(p.info["cmdline"] or [])]
    return found


def test_command_adds_shows_lists_and_removes(service: Service, tmp_path: Path, name: str) -> None:
    import subprocess
    import sys

    def datasets(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client.cli", "datasets", *arguments, "--json", "--url", service.url]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (tmp_path / "pets.tar").write_bytes(tar_of(pets(60)))
    added = datasets("add", str(tmp_path / "pets.tar"), "--name", name)
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["state"] == "ready"
    assert json.loads(datasets("show", name).stdout)["classes"] == 2
    assert name in [d["name"] for d in json.loads(datasets("list").stdout)]
    assert datasets("remove", name).returncode == 0
    assert datasets("show", name).returncode == 2
    (tmp_path / "one.tar").write_bytes(tar_of({"cat/1.png": picture(1)}))
    assert datasets("add", str(tmp_path / "one.tar"), "--name", name).returncode == 1
    assert datasets("add", str(tmp_path / "missing.tar")).returncode == 2


def test_command_shows_every_cause_changes_and_how_many_more_files_there_are(
    service: Service, tmp_path: Path, name: str
) -> None:
    import subprocess
    import sys

    buffer = io.BytesIO()
    Image.new("LA", (8, 8)).save(buffer, "PNG")
    files = {f"cat/{i}.txt": b"x" for i in range(40)} | {
        "cat/half.png": picture(1)[:60],
        "cow/0.png": buffer.getvalue(),
    }
    (tmp_path / "pets.tar").write_bytes(tar_of({**pets(60), **files}))
    command = [sys.executable, "-m", "client.cli", "datasets", "add", str(tmp_path / "pets.tar"), "--name", name]
    shown = subprocess.run([*command, "--url", service.url], capture_output=True, text=True, check=True).stdout
    for line in (
        "41 files were skipped:",
        "40: not an image by its name",
        "1: image that cannot be decoded",
        "and 31 more",
        "1 image was taken with transparent pixels laid on white",
        "warning: the class cow has a single training image",
    ):
        assert line in shown

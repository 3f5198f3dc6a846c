"""Uploaded checkpoints, and checkpoints in other formats."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import runpy
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from api.artifacts.local import LocalArtifacts
from api.checkpoints.inspector import Examiner
from api.http.problems import ProblemError
from client.sdk import Dartboard
from darts_core.configs import EvaluationConfig
from darts_core.genotypes import FORMATS, KNOWN, to_json
from darts_core.models.build import build_evaluation_network
from tests.support.archives import picture, tar_of
from tests.support.authors import authors_state
from tests.support.checkpoint_files import ours, saved
from tests.support.service import Bench, Service


def upload(http: httpx.Client, content: bytes, name: str = "my.pt", **fields: str) -> httpx.Response:
    return http.post("/checkpoints", files={"file": (name, content)}, data=fields)


class Bomb:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.trap), "w")


def test_an_uploaded_checkpoint_comes_back_byte_for_byte(http: httpx.Client) -> None:
    content = ours()
    answer = upload(http, content)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["Location"] == made["download"] == f"/checkpoints/{made['id']}"
    assert (made["format"], made["dataset"], made["classes"], made["name"]) == ("dartboard", "digits", 10, "my.pt")
    back = http.get(made["download"])
    assert back.content == content
    assert back.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_of_the_authors_is_taken_with_its_genotype(http: httpx.Client, old: bool) -> None:
    answer = upload(http, saved(authors_state(), old=old), genotype="DARTS_V2")
    assert answer.status_code == 201, answer.text
    assert answer.json()["format"] == "authors"
    assert answer.json()["genotype"] == to_json(KNOWN["DARTS_V2"])


STATE: dict[str, torch.Tensor] = authors_state()


def safetensors_of(state: dict[str, torch.Tensor]) -> bytes:
    return save_safetensors({name: tensor.contiguous() for name, tensor in state.items()})


@pytest.mark.parametrize(
    "content",
    [
        saved({"model_state_dict": {f"_orig_mod.{name}": tensor for name, tensor in STATE.items()}, "epoch": 1}),
        saved({**STATE, "stem.total_ops": torch.zeros(1), "total_params": torch.zeros(1)}),
        safetensors_of(STATE),
    ],
)
def test_the_authors_weights_are_read_from_other_programs_wrappers(http: httpx.Client, content: bytes) -> None:
    answer = upload(http, content, "x.safetensors", genotype="DARTS_V2")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["format"], answer.json()["classes"]) == ("authors", 10)


def test_our_own_safetensors_come_back_without_a_genotype(http: httpx.Client) -> None:
    path = upload(http, ours()).json()["download"]
    weights = http.get(f"{path}?format=safetensors").content
    answer = upload(http, weights, "ours.safetensors")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["format"], answer.json()["dataset"]) == ("dartboard", "digits")
    assert answer.json()["genotype"] == to_json(KNOWN["DARTS_V2"])
    back = http.get(answer.json()["download"])
    assert back.content == weights
    assert back.headers["Content-Disposition"].endswith('.safetensors"')
    assert http.get(f"{answer.json()['download']}?format=safetensors").content == weights


def test_nothing_is_assumed_of_the_data_without_a_remark(http: httpx.Client) -> None:
    made = upload(http, saved(authors_state()), genotype="DARTS_V2").json()
    assert made["dataset"] == "cifar10"
    assert [remark.split()[0] for remark in made["remarks"]] == ["taken", "normalised"]
    told = upload(http, saved(authors_state()), genotype="DARTS_V2", dataset="cifar10").json()
    assert told["remarks"] == []


def test_the_upload_form_names_the_training_data(http: httpx.Client, tmp_path: Path) -> None:
    name = f"set-{uuid4().hex[:8]}"
    images = {f"c{i % 10}/{i}.png": picture(i, (32, 32), colour=True) for i in range(60)}
    archive = tmp_path / "set.tar"
    archive.write_bytes(tar_of(images))
    with Dartboard(str(http.base_url)) as dartboard:
        dartboard.add_dataset(name, archive)
        info = dartboard.wait_for_dataset(name)
    made = upload(http, saved(authors_state()), genotype="DARTS_V2", dataset=name).json()
    assert (made["dataset"], made["dataset_checksum"], made["remarks"]) == (name, info.checksum, [])
    assert made["normalisation"] == {"mean": info.mean, "std": info.std}
    numbers = {"mean": "0.5,0.25,0.125", "std": "1,2,3"}
    made = upload(http, saved(authors_state()), genotype="DARTS_V2", dataset=name, **numbers).json()
    assert made["normalisation"] == {"mean": [0.5, 0.25, 0.125], "std": [1, 2, 3]}
    score = http.post("/scores", json={"checkpoint_id": made["id"]}).json()
    assert score["spec"]["dataset"] == name
    assert score["spec"]["checkpoint"]["trained_on"]["mean"] == [0.5, 0.25, 0.125]
    assert score["spec"]["checkpoint"]["trained_on"]["classes"] == [f"c{i}" for i in range(10)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dataset": "no-such-set"}, "unknown data set 'no-such-set'"),
        ({"dataset": "cifar100"}, "has 10 classes, cifar100 has 100"),
        ({"dataset": "../x"}, "dataset"),
        ({"mean": "a,b,c", "std": "1,1,1"}, "mean: 'a,b,c'"),
        ({"mean": "1,1,1"}, "mean and std go together"),
        ({"mean": "1,1,1", "std": "1,0,1"}, "std: "),
        ({"mean": "1,1,nan", "std": "1,1,1"}, "mean: "),
        ({"mean": "1", "std": "1"}, "mean and std have 1"),
        ({"mean": "1,1,1", "std": "1,1,1", "dataset": "ptb"}, "applies to images only"),
    ],
)
def test_impossible_statements_about_the_data_are_refused(
    http: httpx.Client, fields: dict[str, str], says: str
) -> None:
    answer = upload(http, saved(STATE), genotype="DARTS_V2", **fields)
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"]


def test_weights_that_do_not_fit_their_genotype_are_refused_at_the_door(http: httpx.Client) -> None:
    answer = upload(http, saved(authors_state()), genotype="PC_DARTS")
    assert answer.status_code == 422
    assert "does not fit the genotype: cells.0._ops" in answer.json()["detail"]


def test_a_genotype_field_may_come_before_or_after_the_file(http: httpx.Client) -> None:
    content, ids = saved(authors_state()), []
    for order in (("genotype", "file"), ("file", "genotype")):
        parts: dict[str, tuple[str | None, str | bytes]] = {"genotype": (None, "DARTS_V2"), "file": ("x.pt", content)}
        ids.append(http.post("/checkpoints", files=[(name, parts[name]) for name in order]).json()["id"])
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("content", "fields", "says"),
    [
        (b"garbage", {"genotype": "DARTS_V2"}, "not a file of torch.save"),
        (b"", {}, "not a file of torch.save"),
        (saved({"stem.0.weight": torch.zeros(6, 3, 3, 3)}), {}, "genotype: is required"),
        (saved({"stem.0.weight": torch.zeros(6, 3, 3, 3)}), {"genotype": "DARTS_V2"}, "no key cells.0"),
        (saved({"encoder.weight": torch.zeros(2, 2)}), {"genotype": "DARTS_V2"}, "dataset: is required"),
        (
            saved({"stem.0.weight": torch.zeros(6, 3, 3, 3)}),
            {"genotype": "DARTS_V2", "dataset": "ptb"},
            "classifies images",
        ),
        (ours(), {"dataset": "ptb"}, "names its own"),
        (saved(torch.nn.LSTM(2, 2)), {"genotype": "DARTS_V2"}, "state_dict()"),
        (ours(), {"genotype": "DARTS_V2"}, "has its own"),
        (ours(weights={}), {}, "incomplete"),
        (ours(genotype={"normal": 3}), {}, "no usable genotype"),
        (ours(), {"genotype": "NO_SUCH"}, "genotype"),
        (ours(genotype=3), {}, "no usable genotype"),
        (ours(classes=[]), {}, "no usable classes"),
        (ours(classes=["a", 1]), {}, "no usable classes"),
        (ours(weights={"a": 1}), {}, "not tensors"),
        (saved(torch.nn.LSTM(2, 2), old=True), {"genotype": "DARTS_V2"}, "state_dict()"),
        (saved({"stem.0.weight": torch.zeros(6, 3, 3, 3)}, old=True), {"genotype": "DARTS_V2"}, "no key cells.0"),
        (saved({}, old=True)[:40], {"genotype": "DARTS_V2"}, "damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(
    http: httpx.Client, content: bytes, fields: dict[str, str], says: str
) -> None:
    answer = upload(http, content, **fields)
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"]


def test_a_file_with_code_is_refused_never_run_and_not_kept(
    http: httpx.Client, service: Service, tmp_path: Path
) -> None:
    before = sorted((service.data / "artifacts" / "uploads").glob("*"))
    answer = upload(http, saved({"format": "dartboard", "weights": Bomb(tmp_path / "exploded")}))
    assert answer.status_code == 422
    assert "could run code" in answer.json()["detail"]
    assert not (tmp_path / "exploded").exists()
    assert sorted((service.data / "artifacts" / "uploads").glob("*")) == before


def test_a_body_that_is_no_form_or_has_no_file_says_how_to_send_one(http: httpx.Client) -> None:
    assert http.post("/checkpoints", json={}).status_code == 415
    answer = http.post("/checkpoints", files={"genotype": (None, "DARTS_V2")})
    assert answer.status_code == 422
    assert "file: is missing" in answer.json()["detail"]


def test_a_refused_upload_is_read_to_its_end(service: Service) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="colour"\r\n\r\n'
    url, size = httpx.URL(service.url), 16 * 2**20
    head = (
        f"POST /checkpoints HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form) + size}\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(head.encode() + form)
        connection.sendall(bytes(size))
        assert connection.recv(100).startswith(b"HTTP/1.1 422")


def test_the_same_file_is_stored_once_and_goes_with_its_last_row(http: httpx.Client, service: Service) -> None:
    content = saved(authors_state())
    first = upload(http, content, genotype="DARTS_V2")
    again = upload(http, content, genotype="DARTS_V2")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = upload(http, content, genotype="DARTS_V2", dataset="cifar10").json()
    path = service.data / "artifacts" / "uploads" / f"{other['sha256']}.pt"
    assert http.delete(f"/checkpoints/{other['id']}").status_code == 204
    assert path.exists()
    assert http.delete(f"/checkpoints/{first.json()['id']}").status_code == 204
    assert not path.exists()
    assert http.get(f"/checkpoints/{other['id']}").status_code == 404


def test_uploads_are_listed_newest_first(http: httpx.Client) -> None:
    ids = [upload(http, ours()).json()["id"] for _ in range(3)]
    page = http.get("/checkpoints?limit=2").json()
    assert [u["id"] for u in page["items"]] == ids[:0:-1]
    assert http.get(f"/checkpoints?limit=1&cursor={page['next_cursor']}").json()["items"][0]["id"] == ids[0]


def test_a_jobs_checkpoint_is_not_deleted_by_its_id(bench: Bench, http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    bench.claim().report(1)
    [row] = http.get(f"/evaluations/{job.id}/checkpoints").json()["items"]
    assert http.delete(row["download"]).status_code == 409
    assert http.delete(f"/checkpoints/{uuid4()}").status_code == 404


def test_the_weights_alone_come_as_safetensors_resumable_and_with_an_etag(http: httpx.Client) -> None:
    value = torch.load(io.BytesIO(content := ours()), weights_only=True)
    path = f"{upload(http, content).json()['download']}?format=safetensors"
    whole = http.get(path)
    found = load_safetensors(whole.content)
    assert found.keys() == value["weights"].keys()
    assert all(torch.equal(found[name], value["weights"][name]) for name in found)
    assert whole.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["Content-Disposition"].endswith('.safetensors"')
    part = http.get(path, headers={"Range": "bytes=20-"})
    assert (part.status_code, part.content) == (206, whole.content[20:])
    assert http.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert int(http.head(path).headers["Content-Length"]) == len(whole.content)


def test_an_evaluations_checkpoint_comes_as_safetensors_and_goes_with_it(
    bench: Bench, http: httpx.Client, service: Service, tmp_path: Path
) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 2, "pool": bench.pool, "name": "n"}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    training.report(1, ours(), validation_accuracy=1.0)
    saved_as = bench.dartboard.download_checkpoint(job.id, tmp_path, format_="safetensors")
    assert saved_as.name == "n-epoch-1.safetensors"
    assert load_safetensors(saved_as.read_bytes())["count"] == 7
    training.report(2, ours(), validation_accuracy=2.0)
    left = [p.name[65:] for p in (service.data / "artifacts" / str(job.id)).rglob("*") if p.is_file()]
    assert left == ["epoch-2.pt"]


def test_a_checkpoint_comes_as_a_module_that_reads_the_weights_of_its_name(http: httpx.Client, tmp_path: Path) -> None:
    config = EvaluationConfig(
        dataset="digits", genotype="DARTS_V1", layers=3, channels=2, auxiliary=False, stem="cifar"
    )
    network = build_evaluation_network(config, classes=10, image_channels=1, stem="cifar").eval()
    image = {"channels": 1, "size": [8, 8]}
    said = {"spec": config.model_dump(mode="json"), "image": image, "normalisation": {"mean": [0.5], "std": [0.2]}}
    path = upload(http, ours(weights=network.state_dict(), metrics={}, **said)).json()["download"]
    answers = [http.get(path, params={"format": wanted}) for wanted in ("pytorch", "safetensors")]
    source, weights = (answer.headers["Content-Disposition"].partition("filename=")[2].strip('"') for answer in answers)
    assert (Path(source).stem, Path(source).suffix, Path(weights).suffix) == (Path(weights).stem, ".py", ".safetensors")
    for name, answer in zip((source, weights), answers, strict=True):
        (tmp_path / name).write_bytes(answer.content)
    images = torch.randn(2, 1, 8, 8)
    found = runpy.run_path(str(tmp_path / source))["load"]()(images)
    torch.testing.assert_close(found, network(images), rtol=0, atol=1e-6)


def test_a_checkpoint_without_the_network_of_one_cell_cannot_be_had_as_a_module(http: httpx.Client) -> None:
    path = upload(http, ours(kind="search")).json()["download"]
    answer = http.get(f"{path}?format=pytorch")
    assert answer.status_code == 409
    assert "is a search's supernet, not the network of one cell: retrain its cell" in answer.json()["detail"]
    assert http.get(f"{path}?format=safetensors").status_code == 200


def test_a_file_without_weights_cannot_be_had_as_safetensors(bench: Bench, http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    bench.claim().report(1)
    answer = http.get(f"/evaluations/{job.id}/checkpoint?format=safetensors")
    assert answer.status_code == 409
    assert "not a file of torch.save" in answer.json()["detail"]
    assert http.get(f"/evaluations/{job.id}/checkpoint?format=tflite").status_code == 422


def packed(program: bytes) -> bytes:
    """A file of torch.save with this pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return buffer.getvalue()


def text(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def shared_lists(depth: int) -> bytes:
    """Instructions for a list that holds one list twice, which holds one list twice, and so on."""
    return b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(depth))


def pickled(genotype: bytes = b"}", spec: bytes = b"}") -> bytes:
    """A checkpoint of ours, two of its parts built by these instructions."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x01tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x01\x85K\x01\x85tR"
    parts = {
        "format": text("dartboard"),
        "kind": text("search"),
        "spec": spec,
        "classes": b"](" + text("a") + b"e",
        "weights": b"}" + text("w") + tensor + b"s",
        "genotype": genotype,
    }
    return packed(b"\x80\x02}(" + b"".join(text(name) + part for name, part in parts.items()) + b"u.")


def test_lists_that_share_their_parts_are_refused_in_a_short_message(http: httpx.Client) -> None:
    parts = {"normal": b"](" + shared_lists(60) + b"e", "normal_concat": b"]", "reduce": b"]", "reduce_concat": b"]"}
    genotype = b"}(" + b"".join(text(name) + part for name, part in parts.items()) + b"u"
    answer = upload(http, pickled(genotype))
    assert answer.status_code == 422, answer.text
    assert "no usable genotype: normal[0]" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 1200


def test_a_pickle_that_wants_gigabytes_is_refused_and_the_service_lives(http: httpx.Client) -> None:
    entries = b"".join(b"J" + i.to_bytes(4, "little") + b"N" for i in range(20_000))
    copies = b"ccollections\nOrderedDict\nq\x01" + b"}(" + entries + b"uq\x00\x85q\x02" + b"h\x01h\x02R" * 20_000
    answer = upload(http, packed(b"\x80\x02(" + copies + b"t."), genotype="DARTS_V2")
    assert answer.status_code == 422, answer.text
    assert http.get("/checkpoints").status_code == 200


def test_an_examination_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    store = LocalArtifacts(tmp_path, 2**30)
    store.prepare()
    (tmp_path / "x.pt").write_bytes(ours())
    with pytest.raises(ProblemError, match=r"longer than 0\.01 s"):
        asyncio.run(Examiner(store, within_seconds=0.01).examine(tmp_path / "x.pt", "x.pt", None))


@pytest.mark.parametrize(
    ("dataset", "kept"),
    [("a\0b", None), ("\ud800", None), ("pets", "pets"), ("folder:pets/small", "folder:pets/small")],
)
def test_only_a_plain_name_of_a_data_set_is_kept(http: httpx.Client, dataset: str, kept: str | None) -> None:
    genotype = b"}(" + b"".join(_part(name, value) for name, value in to_json(KNOWN["DARTS_V2"]).items()) + b"u"
    answer = upload(http, pickled(genotype, b"}" + text("dataset") + text(dataset) + b"s"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["dataset"] == kept


def _part(name: str, value: Any) -> bytes:
    return text(name) + _built(value)


def _built(value: Any) -> bytes:
    if isinstance(value, str):
        return text(value)
    return b"K%c" % value if isinstance(value, int) else b"](" + b"".join(map(_built, value)) + b"e"


def test_a_registered_name_stands_for_its_genotype(http: httpx.Client) -> None:
    name = f"mine-{uuid4().hex[:8]}"
    registered = http.post("/genotypes", json={"name": name, "genotype": to_json(KNOWN["DARTS_V2"])})
    assert registered.is_success, registered.text
    answer = upload(http, saved(authors_state()), genotype=name)
    assert answer.status_code == 201, answer.text
    assert answer.json()["genotype"] == to_json(KNOWN["DARTS_V2"])


def test_command_adds_lists_and_removes(service: Service, tmp_path: Path) -> None:
    def checkpoints(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client.cli", "checkpoints", *arguments, "--json", "--url", service.url]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    torch.save(authors_state(), tmp_path / "authors.pt")
    (tmp_path / "cell.txt").write_text(FORMATS["python"](KNOWN["DARTS_V2"]))
    added = checkpoints("add", str(tmp_path / "authors.pt"), "--genotype", str(tmp_path / "cell.txt"))
    assert added.returncode == 0, added.stderr
    upload = json.loads(added.stdout)
    assert upload["genotype"] == to_json(KNOWN["DARTS_V2"])
    assert upload["id"] in [u["id"] for u in json.loads(checkpoints("list").stdout)]
    assert checkpoints("remove", upload["id"]).returncode == 0
    assert upload["id"] not in [u["id"] for u in json.loads(checkpoints("list").stdout)]
    assert checkpoints("remove", upload["id"]).returncode == 2

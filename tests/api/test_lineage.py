"""The lineage of results: from any node, with checksums."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest

from api.schemas.jobs import JobOut
from api.schemas.lineage import LineageNode, LineageOut
from client.cli import call
from client.errors import ProblemError
from darts_core.genotypes import KNOWN, to_json
from tests.support.archives import pets, tar_of
from tests.support.service import Bench


def of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def edges(found: LineageOut) -> set[tuple[str, str]]:
    return {(edge.origin, edge.result) for edge in found.edges}


def nodes(found: LineageOut) -> dict[str, LineageNode]:
    return {node.id: node for node in found.nodes}


def run(bench: Bench, kind: str, epochs: int = 1, **fields: Any) -> JobOut:
    """A job whose attempt leaves epochs with files of their own."""
    job = bench.dartboard.submit(kind, {"pool": bench.pool, "epochs": epochs, **fields})
    attempt = bench.claim()
    for epoch in range(1, epochs + 1):
        attempt.report(epoch, f"{job.id} {epoch}".encode())
    attempt.finish()
    return job


@pytest.fixture
def chain(bench: Bench) -> dict[str, str]:
    """Ids of an uploaded data set's search, the retraining of its cell, that one's checkpoint and its score."""
    name = f"pets-{uuid4().hex[:8]}"
    (bench.folder / "pets.tar").write_bytes(tar_of(pets()))
    bench.dartboard.add_dataset(name, bench.folder / "pets.tar")
    checksum = bench.dartboard.wait_for_dataset(name).checksum
    search = run(bench, "search", dataset=name, epochs=1)
    evaluation = run(bench, "evaluation", search_id=str(search.id), epochs=1, batch_size=2)
    [checkpoint] = bench.dartboard.checkpoints(evaluation.id)
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    bench.dartboard.cancel(score.id)
    cell = f"cell:{of_json(to_json(KNOWN['DARTS_V2']))}"
    ids = {"search": search.id, "evaluation": evaluation.id, "checkpoint": checkpoint.id, "score": score.id}
    return {"name": name, "dataset": f"dataset:{name}@{checksum}", "cell": cell, **{n: str(i) for n, i in ids.items()}}


@pytest.mark.parametrize("start", ["name", "dataset", "search", "evaluation", "checkpoint", "score"])
def test_every_node_leads_to_the_same_chain(bench: Bench, chain: dict[str, str], start: str) -> None:
    found = bench.dartboard.lineage(chain[start])
    expected = {
        (chain["dataset"], chain["search"]),
        (chain["search"], chain["cell"]),
        (chain["cell"], chain["evaluation"]),
        (chain["dataset"], chain["evaluation"]),
        (chain["evaluation"], chain["checkpoint"]),
        (chain["checkpoint"], chain["score"]),
        (chain["dataset"], chain["score"]),
    }
    assert expected <= edges(found)
    assert {end for edge in found.edges for end in (edge.origin, edge.result)} <= nodes(found).keys()
    assert not found.truncated


def test_every_node_has_its_checksum(bench: Bench, chain: dict[str, str]) -> None:
    found = nodes(bench.dartboard.lineage(chain["score"]))
    for job in ("search", "evaluation", "score"):
        assert found[chain[job]].checksum == of_json(bench.dartboard.job(chain[job]).spec)
    content = f"{chain['evaluation']} 1".encode()
    assert found[chain["checkpoint"]].checksum == hashlib.sha256(content).hexdigest()
    assert chain["cell"] == f"cell:{found[chain['cell']].checksum}"
    assert found[chain["dataset"]].checksum == chain["dataset"].partition("@")[2]


def test_what_was_deleted_is_known_from_what_used_it(bench: Bench, chain: dict[str, str]) -> None:
    bench.dartboard.delete(chain["evaluation"])
    found = nodes(bench.dartboard.lineage(chain["score"]))
    assert not found[chain["checkpoint"]].exists
    assert found[chain["checkpoint"]].checksum == hashlib.sha256(f"{chain['evaluation']} 1".encode()).hexdigest()


def test_an_ensemble_and_a_start_from_another_job_are_linked(bench: Bench) -> None:
    first = run(bench, "evaluation", dataset="digits", genotype="DARTS_V2", epochs=1)
    second = run(bench, "evaluation", dataset="digits", genotype="DARTS_V2", epochs=1, init_from={"job": str(first.id)})
    members = [{"evaluation_id": str(job.id)} for job in (first, second)]
    ensemble = bench.dartboard.submit("ensemble", {"members": members, "pool": bench.pool})
    bench.dartboard.cancel(ensemble.id)
    [one], [other] = (bench.dartboard.checkpoints(job.id) for job in (first, second))
    for start in (first, second, ensemble):
        found = edges(bench.dartboard.lineage(start.id))
        assert {(str(first.id), str(second.id)), (str(first.id), str(one.id)), (str(one.id), str(ensemble.id))} <= found
        assert (str(other.id), str(ensemble.id)) in found


def test_an_unknown_start_is_404(bench: Bench) -> None:
    for start in (uuid4(), "no-such-set"):
        with pytest.raises(ProblemError) as caught:
            bench.dartboard.lineage(start)
        assert caught.value.status == 404
        assert str(start) in caught.value.detail


def test_the_command_prints_the_graph(bench: Bench, chain: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["lineage", chain["evaluation"][:20], "--url", bench.dartboard.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"dataset {chain['name']} sha256 ")
    depths = {kind: line.index(kind) for kind in ("search", "cell", "evaluation") for line in lines if kind in line}
    assert [depths["search"], depths["cell"], depths["evaluation"]] == [2, 4, 6]

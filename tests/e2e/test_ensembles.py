"""Ensembles through a real worker: their figures, their logits and their file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import darts_core
from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.data import load as load_data

TINY = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "channels": 2, "layers": 3, "batch_size": 256}


@pytest.fixture(scope="module")
def evaluations(stack: LocalStack) -> list[JobOut]:
    with Dartboard(stack.url) as dartboard:
        jobs = [dartboard.submit("evaluation", {**TINY, "seed": seed}) for seed in range(3)]
        return [dartboard.wait(job) for job in jobs]


@pytest.fixture(scope="module")
def members(evaluations: list[JobOut]) -> list[dict[str, str]]:
    return [{"evaluation_id": str(job.id)} for job in evaluations]


@pytest.fixture(scope="module")
def ensemble(stack: LocalStack, members: list[dict[str, str]]) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        ended = dartboard.wait(dartboard.submit("ensemble", {"members": members, "name": "three"}))
    assert ended.status == "succeeded", ended.error
    return ended


def test_the_figures_follow_from_the_stored_logits(dartboard: Dartboard, ensemble: JobOut, tmp_path: Path) -> None:
    found = {name: t.numpy() for name, t in load_file(dartboard.download_logits(ensemble.id, tmp_path)).items()}
    outputs = [found[f"member.{place}"].astype(np.float64) for place in range(3)]
    assert np.array_equal(found["logits"], outputs[0] + outputs[1] + outputs[2])
    accuracies = [100 * int((o.argmax(axis=1) == found["labels"]).sum()) / 360 for o in [*outputs, found["logits"]]]
    result = ensemble.result
    assert result is not None
    assert ensemble.metrics is not None
    assert [member["test"]["accuracy"] for member in result["members"]] == accuracies[:3]
    assert ensemble.metrics["test_accuracy"] == accuracies[3]
    assert ensemble.metrics["gain"] == accuracies[3] - max(accuracies[:3])


def test_the_downloaded_file_gives_the_logits_that_are_stored(
    dartboard: Dartboard, ensemble: JobOut, tmp_path: Path
) -> None:
    path = dartboard.download_checkpoint(ensemble.id, tmp_path)
    assert path.name == "three.pt"
    committee: Any = darts_core.load(path)
    data = load_data("digits", tmp_path)
    assert isinstance(data.test_images, torch.Tensor)
    stored = load_file(dartboard.download_logits(ensemble.id, tmp_path))["logits"]
    with torch.no_grad():
        # As many at a time as in the service: the last bits of a convolution depend on that.
        logits = torch.cat([committee(committee.prepare(part)) for part in torch.split(data.test_images, 256)])
    assert torch.equal(logits, stored)


def test_selection_is_at_least_as_good_as_its_best_member_on_the_validation_half(
    dartboard: Dartboard, members: list[dict[str, str]]
) -> None:
    body = {"members": members, "select": {"best": 2}}
    ended = dartboard.wait(dartboard.submit("ensemble", body))
    result = ended.result
    assert result is not None, ended.error
    assert result["validation"] == {"part": "test", "count": 178, "of": 360}
    best = max(member["validation"]["accuracy"] for member in result["members"])
    assert result["committee"]["validation"]["accuracy"] >= best
    assert 1 <= sum(member["chosen"] for member in result["members"]) <= 2


def test_a_score_takes_part_with_the_logits_it_kept(
    dartboard: Dartboard, evaluations: list[JobOut], members: list[dict[str, str]], ensemble: JobOut
) -> None:
    score = dartboard.wait(dartboard.submit("score", {"evaluation_id": str(evaluations[0].id)}))
    ended = dartboard.wait(dartboard.submit("ensemble", {"members": [{"score_id": str(score.id)}, *members[1:]]}))
    assert ended.metrics == ensemble.metrics


def test_the_command_makes_an_ensemble_and_shows_its_members(
    stack: LocalStack, evaluations: list[JobOut], ensemble: JobOut, tmp_path: Path
) -> None:
    dartboard = [sys.executable, "-m", "client.cli"]
    ids = [str(job.id) for job in evaluations]
    command = [*dartboard, "ensemble", *ids, "--combine", "fitted", "--best", "2", "--url", stack.url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "committee" in shown.stdout
    assert "checkpoint: ./dartboard download " in shown.stdout
    command = [*dartboard, "download", str(ensemble.id), "--url", stack.url, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(answer.stdout)["file"] == "three.pt"

"""`dartboard export` to TensorBoard, as its own reader reads it; and what it refuses."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from api.schemas.jobs import JobOut
from client.failures import ExitCode
from client.sdk import Dartboard
from client.tracking.export import export
from client.tracking.tensorboard import TensorBoard
from tests.support.command import Caller
from tests.support.service import Bench
from tests.support.simulated_worker import SimulatedWorker
from tests.support.tracked_jobs import EPOCHS, report, searched
from worker.api_client import WorkerApi


def read(folder: Path) -> EventAccumulator:
    """TensorBoard's own reader, without its sampling."""
    found = EventAccumulator(str(folder), {"scalars": 0, "histograms": 0, "tensors": 0})
    found.Reload()
    return found


def only_folder(of: JobOut, below: Path) -> Path:
    [folder] = below.glob(f"**/*-{of.id}")
    return folder


def test_tensorboard_reads_every_metric_at_its_epoch_and_time(at_service: Caller, bench: Bench, tmp_path: Path) -> None:
    search = searched(bench)
    outcome = at_service("export", str(search.id), "--to", "tensorboard", "-o", str(tmp_path / "runs"))
    assert outcome.code == 0, outcome.said
    found = read(only_folder(search, tmp_path / "runs"))
    epochs = bench.dartboard.epochs(search.id)
    for name in ("train_loss", "validation_accuracy", "seconds"):
        values = [e.seconds if name == "seconds" else e.metrics[name] for e in epochs]
        # The event files hold scalars of 32 bits.
        expected = [(e.epoch, e.created_at.timestamp(), np.float32(v)) for e, v in zip(epochs, values, strict=True)]
        assert [(event.step, event.wall_time, event.value) for event in found.Scalars(name)] == expected
    names = {"train_loss", "validation_accuracy", "seconds"}
    assert {tag for tag in found.Tags()["scalars"] if not tag.startswith("alphas/")} == names


def test_tensorboard_reads_alphas_by_edge_and_operation(bench: Bench, tmp_path: Path) -> None:
    search = searched(bench)
    export(bench.dartboard, [search.id], TensorBoard(tmp_path))
    found = read(only_folder(search, tmp_path))
    epochs = bench.dartboard.epochs(search.id)
    # Rows: edges into node 2 from 0 and 1, then into node 3 from 0, 1 and 2.
    for cell in ("normal", "reduce"):
        for row, edge in enumerate(("0-2", "1-2", "0-3", "1-3", "2-3")):
            for column, operation in enumerate(search.spec["primitives"]):
                values = [np.float32((e.alphas or {})[cell][row][column]) for e in epochs]
                assert [e.value for e in found.Scalars(f"alphas/{cell}/{edge}/{operation}")] == values
        assert [h.histogram_value.num for h in found.Histograms(f"alphas/{cell}")] == [40] * EPOCHS
    assert len([tag for tag in found.Tags()["scalars"] if tag.startswith("alphas/")]) == 2 * 5 * 8


def test_tensorboard_reads_the_spec_the_cell_and_hyperparameters(bench: Bench, tmp_path: Path) -> None:
    search = searched(bench)
    export(bench.dartboard, [search.id], TensorBoard(tmp_path))
    found = read(only_folder(search, tmp_path))

    def text(name: str) -> object:
        [event] = found.Tensors(f"{name}/text_summary")
        return json.loads(event.tensor_proto.string_val[0])

    assert text("spec") == search.spec
    assert text("genotype") == bench.dartboard.epochs(search.id)[-1].genotype
    assert found.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"


def test_an_export_again_doubles_no_epoch(bench: Bench, tmp_path: Path) -> None:
    search = searched(bench)
    for _ in range(2):
        export(bench.dartboard, [search.id], TensorBoard(tmp_path))
    assert [event.step for event in read(only_folder(search, tmp_path)).Scalars("train_loss")] == [1, 2, 3]


def test_a_live_folder_has_each_epoch_while_the_job_runs_and_ends_with_it(bench: Bench, tmp_path: Path) -> None:
    search = bench.submit(epochs=2, nodes=2)
    training = bench.claim()
    following = Thread(
        target=export, args=(bench.dartboard, [search.id], TensorBoard(tmp_path)), kwargs={"follow": True}, daemon=True
    )
    following.start()
    worker = SimulatedWorker(bench.dartboard, bench.api, tmp_path, bench.pool)
    for epoch in (1, 2):
        report(training, epoch)
        worker.until(partial(has_epochs, search, tmp_path, epoch))
    assert following.is_alive()
    training.finish()
    following.join(20)
    assert not following.is_alive()
    assert has_epochs(search, tmp_path, 2)


def has_epochs(job: JobOut, folder: Path, count: int) -> bool:
    found = read(next(folder.glob(f"**/*-{job.id}"), folder))
    if "train_loss" not in found.Tags()["scalars"]:
        return False
    return [event.step for event in found.Scalars("train_loss")] == list(range(1, count + 1))


@pytest.mark.parametrize("follow", [False, True])
def test_a_study_goes_with_its_children(
    dartboard: Dartboard, worker_api: WorkerApi, pool: str, tmp_path: Path, follow: bool
) -> None:
    worker = SimulatedWorker(dartboard, worker_api, tmp_path, pool)
    study = worker.work_until_ended(worker.study())
    exported = export(dartboard, [study.id], TensorBoard(tmp_path / "runs"), follow=follow)
    children = dartboard.children(study.id)
    assert {job.id for job in exported} == {study.id, *(child.id for child in children)}
    for child in children:
        folder = only_folder(child, only_folder(study, tmp_path / "runs"))
        [epoch] = dartboard.epochs(child.id)
        scalars = read(folder).Scalars
        assert {name: scalars(name)[0].value for name in epoch.metrics} == {
            name: np.float32(value) for name, value in epoch.metrics.items()
        }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.pt", "b.pt", "-o", "x.py"), "several sources are for --to tensorboard, mlflow, wandb"),
        (("a.pt", "--to", "onnx"), "a checkpoint is exported to a file: x.onnx, x.safetensors or x.py"),
        (("a.pt", "-o", "x.py", "--follow"), "is for --to tensorboard, mlflow, wandb"),
        (("0192", "--to", "tensorboard", "--raw-images"), "is for a checkpoint"),
        (("0192", "--to", "mlflow"), "is not an http(s) URL: name a running MLflow server"),
        (("0192", "--to", "mlflow", "--server", "sqlite:///x.db"), "'sqlite:///x.db' is not an http(s) URL"),
    ],
)
def test_an_export_that_does_not_fit_is_refused(called: Caller, arguments: tuple[str, ...], says: str) -> None:
    outcome = called("export", *arguments)
    assert (outcome.code, says in outcome.err) == (ExitCode.USAGE, True), outcome.err
    assert list(Path().iterdir()) == []


def test_an_mlflow_server_that_is_away_is_told_at_once(called: Caller) -> None:
    outcome = called("export", "0192", "--to", "mlflow", "--server", "http://127.0.0.1:1")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "cannot reach MLflow at http://127.0.0.1:1" in outcome.err


@pytest.mark.parametrize(
    ("to", "module", "more"),
    [
        ("tensorboard", "tensorboardX", ()),
        ("mlflow", "mlflow", ("--server", "http://127.0.0.1:1")),
        ("wandb", "wandb", ()),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    called: Caller, monkeypatch: pytest.MonkeyPatch, to: str, module: str, more: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"client.tracking.{to}", raising=False)
    outcome = called("export", "0192", "--to", to, *more)
    assert outcome.code == ExitCode.FAILED
    assert f"needs {module}, which is not installed: pip install '.[{to}]'" in outcome.err

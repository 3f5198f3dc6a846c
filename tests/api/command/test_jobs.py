"""What the command says of jobs: how far they are, what they found, and which job an id names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.schemas.jobs import JobOut
from api.schemas.worker import Heartbeat
from client.failures import ExitCode
from client.job_stage import finished_epochs
from client.local.data_directory import DataDirectory, serving
from client.results import show_result
from tests.support.archives import pets, tar_of
from tests.support.command import Caller
from tests.support.command_process import start
from tests.support.service import Bench, Service, SimulatedAttempt

Evaluated = tuple[JobOut, JobOut]


@pytest.fixture
def searched(bench: Bench) -> JobOut:
    """A search that has ended."""
    search = bench.submit(epochs=1)
    training = bench.claim()
    training.report(1)
    training.finish()
    return search


@pytest.fixture
def evaluated(bench: Bench, searched: JobOut) -> Evaluated:
    """The search and the evaluation of its cell."""
    fields = {"search_id": searched.id, "epochs": 3, "pool": bench.pool}
    evaluation = bench.dartboard.submit("evaluation", fields)
    train(bench)
    return searched, bench.dartboard.job(evaluation.id)


def train(bench: Bench) -> None:
    """Three epochs of an evaluation; the second is the best."""
    training = bench.claim()
    training.report(1)
    training.report(2, validation_accuracy=97.216)
    training.report(3, test_accuracy=98.889)
    training.finish()


def heartbeat(training: SimulatedAttempt, epoch: int, step: int) -> None:
    progress = {"epoch": epoch, "epochs": 3, "step": step, "steps": 10, "eta_seconds": 190.4}
    training.attempt.heartbeat(Heartbeat.model_validate({"progress": progress}))


def test_show_and_jobs_count_the_epochs_that_have_ended(at_service: Caller, bench: Bench) -> None:
    job = bench.submit()

    def counted() -> str:
        return finished_epochs(bench.dartboard.job(job.id))

    assert counted() == "0/3"
    training = bench.claim()
    heartbeat(training, 1, 4)
    assert counted() == "0/3"
    training.report(1)
    assert counted() == "1/3"
    heartbeat(training, 2, 4)
    assert counted() == "1/3"
    assert "  remaining: 3m10s\n" in at_service("show", str(job.id)).out
    bench.dartboard.cancel(job.id)
    shown = at_service("show", str(job.id)).out
    assert "epochs finished: 1/3" in shown
    assert "remaining:" not in shown
    [listed] = [line for line in at_service("jobs", "--limit", "100", "--wide").out.splitlines() if str(job.id) in line]
    assert "1/3" in listed.split()


def test_an_ended_evaluation_shows_its_test_accuracy_its_best_epoch_and_the_way_to_its_file(
    service: Service, bench: Bench, searched: JobOut
) -> None:
    line = ["evaluate", str(searched.id), "--epochs=3", f"--set=pool={bench.pool}"]
    with start(*line, DARTBOARD_URL=service.url) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        job_id = process.stderr.readline().split()[-1]  # told once it is queued
        train(bench)
        # Not `communicate`, which loses lines that `readline` has taken from the pipe with the first.
        err, out = process.stderr.read(), process.stdout.read()
    assert process.returncode == ExitCode.OK, err
    assert out.splitlines() == [
        "last epoch, 3: validation accuracy 50.00 %, test accuracy 98.89 %",
        "best epoch, 2: validation accuracy 97.22 %",
        f"checkpoint: ./dartboard download {job_id}  # epoch 2, the best; --epoch last brings epoch 3",
    ]
    options = "--epochs, --layers, --channels, --batch-size change them"
    assert f"preset digits: 3 epochs, 5 layers, 16 channels, batches of 64 ({options})\n" in err


def test_a_recurrent_search_names_its_preset_and_hidden_size(at_service: Caller, bench: Bench) -> None:
    sizes = ("--epochs=1", "--set", "hidden_size=8", "--set", f"pool={bench.pool}-recurrent")
    outcome = at_service("search", "--family", "rnn", *sizes, "--detach")
    assert outcome.code == ExitCode.OK, outcome
    options = "--epochs, --batch-size, --set hidden_size=N change them"
    assert f": 1 epoch, batches of 128, hidden size 8 ({options})\n" in outcome.err
    bench.dartboard.cancel(outcome.out.strip())


def test_a_search_of_image_files_takes_a_decoder(at_service: Caller, bench: Bench) -> None:
    line = ("search", "--dataset", "imagenet", "--set", f"pool={bench.pool}-files", "--detach", "--set")
    outcome = at_service(*line, "decoder=torchvision")
    assert outcome.code == ExitCode.OK, outcome
    assert bench.dartboard.job(outcome.out.strip()).spec["decoder"] == "torchvision"
    bench.dartboard.cancel(outcome.out.strip())
    refused = at_service(*line, "decoder=turbojpeg")
    assert refused.code == ExitCode.USAGE, refused
    assert "allowed: pillow, torchvision, nvjpeg" in refused.err


def test_a_search_is_urgent_or_keeps_its_slot_by_its_options(at_service: Caller, bench: Bench) -> None:
    line = ("search", "--set", f"pool={bench.pool}-urgent", "--detach")
    urgent, kept = (at_service(*line, *more).out.strip() for more in (("--priority", "9"), ("--not-preemptible",)))
    jobs = [bench.dartboard.cancel(job_id) for job_id in (urgent, kept)]
    assert [(job.priority, job.preemptible) for job in jobs] == [(9, True), (5, False)]


def test_a_search_ends_with_the_next_steps(bench: Bench, searched: JobOut, capsys: pytest.CaptureFixture[str]) -> None:
    show_result(bench.dartboard, bench.dartboard.job(searched.id))
    out, err = capsys.readouterr()
    assert out.startswith("Genotype(")
    assert f": ./dartboard draw {searched.id} -o cell.svg\n" in err
    assert f": ./dartboard evaluate {searched.id} (--epochs N for less" in err


def test_show_has_the_spec_in_its_schemas_order_and_rounded_figures(at_service: Caller, evaluated: Evaluated) -> None:
    said = at_service("show", str(evaluated[1].id)).out
    assert "    epoch: 2\n    validation_accuracy: 97.22\n" in said
    names = [line.split(":")[0].strip() for line in said.partition("  spec:\n")[2].splitlines()]
    assert names[:4] == ["family", "dataset", "preset", "seed"]
    assert names.index("momentum") < names.index("cutout") < names.index("drop_path") < names.index("genotype")


@pytest.mark.parametrize("command", ["evaluate", "genotype"])
def test_an_evaluations_id_in_place_of_a_searchs_is_named_as_such(
    at_service: Caller, evaluated: Evaluated, command: str
) -> None:
    search, evaluation = evaluated
    outcome = at_service(command, str(evaluation.id))
    assert outcome.code == ExitCode.USAGE
    assert f"{evaluation.id} is an evaluation, not a search; give its search's id, {search.id}" in outcome.err


@pytest.mark.parametrize("command", ["show", "cancel", "evaluate", "draw", "score", "ensemble"])
def test_a_jobs_name_in_place_of_an_id_is_answered_with_its_id(at_service: Caller, bench: Bench, command: str) -> None:
    name = f"first-{bench.pool}"
    job = bench.submit(name=name)
    outcome = at_service(command, name)
    assert outcome.code == ExitCode.USAGE
    assert f"'{name}' is a job's name, not an id: its id is {job.id}" in outcome.err
    other = bench.submit(name=name)
    assert f"several jobs, not an id: their ids are {other.id}, {job.id}\n" in at_service(command, name).err


@pytest.mark.parametrize("command", ["evaluate", "genotype"])
def test_an_unknown_genotype_is_named_with_the_nearest(at_service: Caller, command: str) -> None:
    for name, said in {
        "darts_v3": "'darts_v3'; did you mean 'DARTS_V2'?",
        "nosuch": "genotype 'nosuch'; known: ",
    }.items():
        outcome = at_service(command, name)
        assert outcome.code == ExitCode.USAGE
        assert said in outcome.err
        assert "; searches have ids, which `" in outcome.err


def test_the_file_of_a_search_is_said_to_be_no_retrained_network(
    at_service: Caller, bench: Bench, tmp_path: Path
) -> None:
    job = bench.submit(name="look", epochs=1)
    bench.claim().report(1)
    outcome = at_service("download", str(job.id), "-o", str(tmp_path))
    assert outcome.out == f"{tmp_path / 'look-epoch-1.pt'}\n"
    assert f"the search's own network; retrain its cell: ./dartboard evaluate {job.id}" in outcome.err


def test_an_unknown_data_set_is_named_with_the_nearest(at_service: Caller) -> None:
    outcome = at_service("search", "--dataset", "digit")
    assert outcome.code == ExitCode.USAGE
    assert "unknown data set 'digit'; did you mean 'digits'?" in outcome.err


def test_a_comparison_is_not_padded_to_its_longest_cell(at_service: Caller, bench: Bench) -> None:
    jobs = [bench.submit(primitives=["none", "skip_connect", "sep_conv_3x3", "sep_conv_5x5"][:n]) for n in (3, 4)]
    jobs.append(bench.submit(primitives=["none", "skip_connect", "max_pool_3x3"], momentum=0.5))
    lines = at_service("compare", *(str(job.id) for job in jobs), "--table", "spec").out.splitlines()
    [primitives] = [line for line in lines if line.startswith("primitives")]
    assert len(primitives) > 150
    [momentum] = [line for line in lines if line.startswith("momentum")]
    assert len(momentum) < 150


def test_an_upload_begins_with_what_it_says(at_service: Caller, tmp_path: Path) -> None:
    (tmp_path / "mine.tar").write_bytes(tar_of(pets()))
    line = ("datasets", "add", str(tmp_path / "mine.tar"), "--name", "begins")
    outcome = at_service(*line)
    assert (outcome.code, outcome.err) == (ExitCode.OK, "")
    assert "  classes: cat, dog\n" in outcome.out
    assert "  held out of the training images by the service: test and validation\n" in outcome.out
    outcome = at_service(*line)
    assert outcome.code == ExitCode.USAGE
    assert "there is a data set 'begins' already: remove it (`dartboard datasets remove begins`)" in outcome.err


@pytest.fixture
def served(called: Caller, service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataDirectory]:
    """This folder's data directory, whose service is at an address that nothing names."""
    monkeypatch.delenv("DARTBOARD_URL")
    directory = DataDirectory(Path(".dartboard"))
    directory.announce(service.url)
    yield directory
    directory.release()


def test_the_service_that_runs_in_this_folder_is_found(
    called: Caller, served: DataDirectory, service: Service, bench: Bench
) -> None:
    job = bench.submit()
    for line in (["show", str(job.id), "--json"], ["datasets", "list", "--json"]):
        outcome = called(*line)
        assert outcome.code == ExitCode.OK, outcome
        assert json.loads(outcome.out)
        assert outcome.err == f"the service of this folder is at {service.url}\n"


def test_an_address_that_is_given_goes_before_the_one_of_this_folder(called: Caller, served: DataDirectory) -> None:
    outcome = called("jobs", "--url", "http://127.0.0.1:1")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "http://127.0.0.1:1 " in outcome.err


def test_a_folder_whose_service_has_ended_serves_nothing(served: DataDirectory, service: Service) -> None:
    assert serving(served.path) == service.url
    served.release()
    assert serving(served.path) is None
    assert serving(served.path / "elsewhere") is None

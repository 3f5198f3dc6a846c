"""A run on two processes: its reports, its resumption to the bit, and its clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from darts_core import load, run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data import load as load_data
from darts_core.data.splits import part_indices
from darts_core.distributed.messages import error_of, error_to_message
from darts_core.errors import CheckpointError, ConfigError, DataError, Diverged, Problem, RankLost, Stopped
from darts_core.files import checkpoints
from darts_core.training.control import UNCONTROLLED, Progress
from darts_core.training.metrics import measure
from darts_core.training.reports import EpochReport
from tests.support.recorder import Recorder
from tests.support.same_bits import assert_same_bits

pytestmark = pytest.mark.slow

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]


def ranks_of(parent: int) -> list[psutil.Process]:
    """The processes that compute for this one."""
    return [p for p in psutil.Process(parent).children() if "darts_core.distributed.rank" in " ".join(_command(p))]


def _command(process: psutil.Process) -> list[str]:
    """Empty for one that has ended, whether it has been waited for or not."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test here: however a run ends, its processes are gone."""
    yield
    assert ranks_of(os.getpid()) == []


@pytest.fixture(scope="module")
def config() -> SearchConfig:
    return SearchConfig(
        dataset="folder:tiny",
        epochs=2,
        batch_size=6,
        channels=2,
        layers=3,
        nodes=1,
        order=2,
        crop_padding=1,
        alpha_lr=0.01,
        primitives=["none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"],
    ).resolved()


@pytest.fixture(scope="module")
def told() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def undisturbed(config: SearchConfig, data_root: Path, told: Recorder) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root, gpus=2, control=told))


def test_every_step_of_rank_0_is_told_once(undisturbed: list[EpochReport], told: Recorder) -> None:
    assert len(undisturbed) == 2
    # 16 images for the weights in batches of 6: the last batch of 4 is shared, too.
    assert told.told == [Progress(epoch, 2, step, 3) for epoch in (1, 2) for step in (1, 2, 3)]


def test_validation_on_two_ranks_is_exactly_that_of_one(
    undisturbed: list[EpochReport], config: SearchConfig, data_root: Path, tmp_path: Path
) -> None:
    report = undisturbed[-1]
    checkpoints.save(report.checkpoint, tmp_path / "c.pt")
    trained: Any = load(tmp_path / "c.pt")
    data = load_data("folder:tiny", data_root)
    part = part_indices(len(data.train_images), config.split_sizes(len(data.train_images)), config.seed)[1]
    measured = measure(
        trained.network, data.train_images[part], data.train_labels[part], trained.prepare, control=UNCONTROLLED
    )
    assert report.metrics["validation_loss"] == measured.loss
    assert report.metrics["validation_accuracy"] == measured.accuracy


def test_two_ranks_go_on_in_the_middle_of_an_epoch_to_the_same_bits(
    undisturbed: list[EpochReport], config: SearchConfig, data_root: Path
) -> None:
    saving, control = config.model_copy(update={"checkpoint_seconds": 1e-9}), Recorder()
    reports = run_search(saving, data_root=data_root, gpus=2, control=control)
    next(reports)
    control.stop_at = len(control.told) + 1
    with pytest.raises(Stopped):
        next(reports)
    middle = next(c for c in control.kept if c["epoch"] == 1)
    assert middle["resume"]["step"] == 4
    [resumed] = run_search(saving, data_root=data_root, gpus=2, resume_from=middle)
    assert resumed.metrics == undisturbed[1].metrics
    assert_same_bits(resumed.alphas, undisturbed[1].alphas)
    assert_same_bits(resumed.checkpoint["weights"], undisturbed[1].checkpoint["weights"])


def test_a_checkpoint_goes_on_with_as_many_ranks_alone(
    undisturbed: list[EpochReport], config: SearchConfig, data_root: Path
) -> None:
    with pytest.raises(CheckpointError, match="gpus=2, not 1"):
        run_search(config, data_root=data_root, resume_from=undisturbed[0].checkpoint)


def test_batch_size_that_two_cannot_share_is_refused(search_config: MakeSearch, data_root: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size: 5 images cannot be shared by 2 GPUs"):
        run_search(search_config(batch_size=5), data_root=data_root, gpus=2)


def test_a_ranks_refusal_is_raised_at_once(search_config: MakeSearch, data_root: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        run_search(search_config(dataset="folder:absent"), data_root=data_root, gpus=2)


def test_evaluation_stops_on_all_ranks_when_the_control_asks(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    control = Recorder(stop_at=1)
    reports = run_evaluation(evaluation_config(epochs=1000), data_root=data_root, gpus=2, control=control)
    with pytest.raises(Stopped):
        list(reports)


def test_forgetting_a_run_ends_its_processes(search_config: MakeSearch, data_root: Path) -> None:
    reports = run_search(search_config(), data_root=data_root, gpus=2)
    assert len(ranks_of(os.getpid())) == 2
    next(reports)
    del reports


def test_a_killed_rank_ends_the_run_with_the_cause(search_config: MakeSearch, data_root: Path) -> None:
    reports = run_search(search_config(epochs=1000), data_root=data_root, gpus=2)
    next(reports)
    victim = ranks_of(os.getpid())[1]
    victim.kill()
    with pytest.raises(RankLost, match="process 1 of 2 was killed by signal 9"):
        list(reports)


def test_no_process_outlives_its_killed_parent(search_config: MakeSearch, data_root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from darts_core import run_search; "
        "from darts_core.configs import SearchConfig; "
        "config = SearchConfig.model_validate_json(sys.argv[1])\n"
        "for report in run_search(config, data_root=Path(sys.argv[2]), gpus=2): print(report.epoch, flush=True)"
    )
    spec = search_config(epochs=1000).model_dump_json()
    with subprocess.Popen([sys.executable, "-c", code, spec, str(data_root)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        ranks = ranks_of(parent.pid)
        assert len(ranks) == 2
        parent.send_signal(signal.SIGKILL)
        assert psutil.wait_procs(ranks, timeout=20)[1] == []


@pytest.mark.parametrize(
    "error", [Diverged("epoch 2"), MemoryError("so much"), OSError(28, "No space left on device")], ids=repr
)
def test_an_error_of_a_rank_is_raised_with_its_type_and_traceback(error: Exception) -> None:
    again = error_of(error_to_message(error))
    assert type(again) is type(error)
    assert getattr(again, "errno", None) == getattr(error, "errno", None)
    assert type(error).__name__ in str(again.__cause__)


def test_problems_of_a_spec_keep_their_fields_across_processes() -> None:
    again = error_of(error_to_message(ConfigError([Problem(("batch_size",), "too large")])))
    assert isinstance(again, ConfigError)
    assert again.problems == (Problem(("batch_size",), "too large"),)


def test_an_unknown_error_of_a_rank_is_named() -> None:
    assert str(error_of(error_to_message(KeyError("x")))) == "KeyError: 'x'"

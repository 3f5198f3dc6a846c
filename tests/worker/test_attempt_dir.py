import errno
import json
import stat
from pathlib import Path

import pytest
import torch

from darts_core.training.control import Progress
from tests.support.claimed import an_attempt
from worker.attempt_dir import AttemptFolder
from worker.control import AttemptControl, StopReason
from worker.failures import failure_of, is_disk_full


def test_the_trace_of_a_dead_attempt_is_found_until_it_is_cleared(tmp_path: Path) -> None:
    claimed = an_attempt()
    AttemptFolder(tmp_path).open(claimed)
    leftover = AttemptFolder(tmp_path).leftover()
    assert leftover is not None
    assert (leftover.attempt_id, leftover.token) == (str(claimed.attempt_id), "secret-token")
    AttemptFolder(tmp_path).clear()
    assert AttemptFolder(tmp_path).leftover() is None


def test_the_token_on_disk_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    AttemptFolder(tmp_path).open(an_attempt())
    [trace] = tmp_path.rglob("attempt.json")
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "null", json.dumps({"attempt_id": "x"})])
def test_a_damaged_trace_is_no_trace(tmp_path: Path, content: str) -> None:
    AttemptFolder(tmp_path).open(an_attempt())
    [trace] = tmp_path.rglob("attempt.json")
    trace.write_text(content)
    assert AttemptFolder(tmp_path).leftover() is None


def test_the_first_reason_to_stop_holds() -> None:
    control = AttemptControl()
    control.stop(StopReason.SUPERSEDED)
    control.stop(StopReason.DRAIN)
    assert control.should_stop()
    assert control.reason is StopReason.SUPERSEDED


def test_the_time_left_follows_from_the_speed_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("worker.control.time.monotonic", lambda: clock[0])
    control = AttemptControl()
    assert control.snapshot() is None
    control.progress(Progress(epoch=1, epochs=2, step=1, steps=10))
    first = control.snapshot()
    assert first is not None
    assert first.eta_seconds is None
    clock[0] = 104.0
    control.progress(Progress(epoch=1, epochs=2, step=3, steps=10))
    later = control.snapshot()
    assert later is not None
    assert later.eta_seconds == pytest.approx(2.0 * 17)


def test_before_the_first_step_a_run_stands_in_the_stage_that_it_prepares_in() -> None:
    control = AttemptControl()
    control.begin(Progress(epoch=4, epochs=9, step=0, steps=0))
    preparing = control.snapshot()
    assert preparing is not None
    assert (preparing.epoch, preparing.epochs, preparing.steps, preparing.stage) == (4, 9, 0, "preparing")
    control.enter_stage("preparing: kernels")
    compiling = control.snapshot()
    assert compiling is not None
    assert compiling.stage == "preparing: kernels"
    control.enter_stage(None)
    control.progress(Progress(epoch=4, epochs=9, step=1, steps=10))
    training = control.snapshot()
    assert training is not None
    assert (training.step, training.stage, control.preparing) == (1, None, False)


def _save_on_a_full_disk() -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise RuntimeError("could not save") from error


def test_a_full_disk_is_recognised_under_other_errors() -> None:
    with pytest.raises(RuntimeError) as raised:
        _save_on_a_full_disk()
    assert is_disk_full(raised.value)
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))


def test_out_of_memory_is_told_with_the_way_out() -> None:
    failure = failure_of(torch.OutOfMemoryError("tried to allocate 20 GiB"), ["INFO epoch 1"])
    assert "smaller batch_size" in failure.message
    assert failure.log_tail == ["INFO epoch 1"]


def _fail() -> None:
    raise ValueError("what went wrong")


def test_a_failure_has_its_traceback() -> None:
    with pytest.raises(ValueError, match="wrong") as raised:
        _fail()
    failure = failure_of(raised.value, [])
    assert (failure.type, failure.message) == ("ValueError", "what went wrong")
    assert "in _fail" in failure.traceback

"""The data directory is private, has one supervisor at a time, and its secrets are created once."""

import json
import os
import stat
from pathlib import Path

import pytest

from client.local.data_directory import DataDirectory
from darts_core.runtime.errors import StackError

pytestmark = pytest.mark.light


def test_directory_and_secrets_are_readable_by_their_owner_only(data: DataDirectory) -> None:
    assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((data.path / "secrets.json").stat().st_mode) == 0o600


def test_directory_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    DataDirectory(tmp_path).release()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_second_one_on_the_directory_is_refused_with_holder_and_way_out(data: DataDirectory) -> None:
    data.announce("http://127.0.0.1:8123")
    with pytest.raises(StackError) as refused:
        DataDirectory(data.path)
    message = str(refused.value)
    assert str(data.path) in message
    assert f"pid {os.getpid()}" in message
    assert "http://127.0.0.1:8123" in message
    assert "--data" in message


def test_released_directory_can_be_taken_again_with_the_same_secrets(data: DataDirectory) -> None:
    data.release()
    again = DataDirectory(data.path)
    assert again.secrets == data.secrets
    again.release()


def test_every_directory_has_secrets_of_its_own(data: DataDirectory, tmp_path: Path) -> None:
    other = DataDirectory(tmp_path / "other")
    mine, others = vars(data.secrets).values(), vars(other.secrets).values()
    assert len({*mine, *others}) == 8
    other.release()


def test_a_directory_of_an_earlier_version_gets_the_secret_that_it_lacks(data: DataDirectory) -> None:
    data.release()
    path = data.path / "secrets.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in before.items() if name != "webhook_key"}))
    again = DataDirectory(data.path)
    after = json.loads(path.read_text())
    assert after == vars(again.secrets)
    assert {**after, "webhook_key": ""} == {**before, "webhook_key": ""}
    again.release()


def test_secrets_are_not_shown_when_printed(data: DataDirectory) -> None:
    assert not any(secret in repr(data.secrets) for secret in vars(data.secrets).values())


def test_broken_secrets_file_is_refused_and_kept(data: DataDirectory) -> None:
    data.release()
    (data.path / "secrets.json").write_text("{")
    with pytest.raises(StackError, match=r"secrets\.json"):
        DataDirectory(data.path)
    assert (data.path / "secrets.json").read_text() == "{"


def test_refusal_gives_the_lock_back(data: DataDirectory) -> None:
    data.release()
    (data.path / "secrets.json").write_text("{")
    with pytest.raises(StackError):
        DataDirectory(data.path)
    (data.path / "secrets.json").unlink()
    DataDirectory(data.path).release()


def test_file_in_the_place_of_the_directory_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=str(tmp_path / "file")):
        DataDirectory(tmp_path / "file")


def test_log_of_the_run_before_is_kept_once(data: DataDirectory) -> None:
    for text in ("first", "second", "third"):
        data.log("api").write_text(text)
    assert sorted((path.name, path.read_text()) for path in data.logs.iterdir()) == [
        ("api.log", "third"),
        ("api.log.1", "second"),
    ]

"""The secrets of a deployment are created once, each in the volume of the service that needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.auth.hashing import secret_of
from api.provision import main, provision


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_existing_secrets_stay_at_the_next_start(tmp_path: Path) -> None:
    assert len(provision(tmp_path)) == 7
    before = contents(tmp_path)
    assert provision(tmp_path) == []
    assert contents(tmp_path) == before


def test_only_the_api_can_reach_the_database(tmp_path: Path) -> None:
    provision(tmp_path)
    found = contents(tmp_path)
    password = found["postgres/password"]
    assert {name for name, text in found.items() if password in text} == {"postgres/password", "api/DATABASE_URL"}
    assert {name for name in found if name.startswith("worker/")} == {"worker/REDIS_URL", "worker/DARTBOARD_WORKER_KEY"}


def test_the_admins_key_is_one(tmp_path: Path) -> None:
    provision(tmp_path)
    assert secret_of((tmp_path / "api" / "admin_key").read_text()) is not None


def test_a_renewed_password_reaches_all_who_need_it(tmp_path: Path) -> None:
    provision(tmp_path)
    before = contents(tmp_path)
    assert provision(tmp_path, renew="valkey/password") == ["valkey/password"]
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {
        "valkey/password",
        "valkey/valkey.conf",
        "api/REDIS_URL",
        "worker/REDIS_URL",
    }


def test_the_files_created_are_named_and_no_secret_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["provision", str(tmp_path)])
    assert main() == 0
    said = capsys.readouterr().out
    assert "created api/admin_key\n" in said
    assert not any(text in said for text in contents(tmp_path).values())


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("from api.settings import get_settings as g; print(g().database_url.get_secret_value())", "api/DATABASE_URL"),
        ("from api.settings import get_settings as g; print(g().redis_url.get_secret_value())", "api/REDIS_URL"),
        (
            "from worker.settings import get_settings as g; print(g().worker_key.get_secret_value())",
            "worker/DARTBOARD_WORKER_KEY",
        ),
    ],
)
def test_a_process_finds_its_secrets_in_its_folder(tmp_path: Path, code: str, file: str) -> None:
    provision(tmp_path)
    folder = tmp_path / Path(file).parent
    environment = {**os.environ, "DARTBOARD_SECRETS": str(folder)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == (tmp_path / file).read_text()

"""`python -m api.keys adopt` takes over keys from before the database."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from api.auth.hashing import new_secret
from tests.support.keys import Guarded, keys_command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(new_secret().text + "\n")
    return path


def adopt(guarded: Guarded, file: Path, role: str = "viewer") -> None:
    done = keys_command(guarded.database_url, "adopt", str(file), "--role", role, "--owner", "adopted")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_an_adopted_key_works_in_its_role(guarded: Guarded, file: Path) -> None:
    adopt(guarded, file)
    with guarded.http(file.read_text().strip()) as http:
        assert [http.get("/jobs").status_code, http.get("/audit").status_code] == [200, 403]


def test_a_key_that_was_revoked_is_not_brought_back(guarded: Guarded, file: Path, admin: httpx.Client) -> None:
    adopt(guarded, file)
    key_id = admin.get("/keys", params={"limit": 1}).json()["items"][0]["id"]
    assert admin.delete(f"/keys/{key_id}").status_code < 300
    adopt(guarded, file)
    with guarded.http(file.read_text().strip()) as http:
        assert http.get("/jobs").status_code == 401


def test_a_file_without_a_key_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("password")
    done = keys_command(guarded.database_url, "adopt", str(tmp_path / "key"))
    assert done.returncode == 2
    assert "holds no key" in done.stderr

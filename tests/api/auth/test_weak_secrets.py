"""A service with an empty or a short secret does not start, and prints no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.provision import WeakSecretError, provision

pytestmark = pytest.mark.slow

PROGRAMS = ["api", "api.migrate", "api.check_store", "worker"]


def started(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--port", "0"] if program == "api" else []
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("key", ["", "short-secret"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_starts_with_a_weak_worker_key(program: str, key: str) -> None:
    ended = started(program, DARTBOARD_WORKER_KEY=key)
    assert ended.returncode == 2
    assert "DARTBOARD_WORKER_KEY: " in ended.stderr
    assert "at least 16" in ended.stderr
    assert "short-secret" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_nothing_starts_with_an_address_whose_password_was_not_filled_in(name: str) -> None:
    ended = started("api", **{name: "scheme://user:@127.0.0.1:1/0"})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{name}: ")


def test_a_deployment_whose_stored_secret_is_empty_is_refused_until_it_is_made_again(tmp_path: Path) -> None:
    provision(tmp_path)
    (tmp_path / "api" / "DARTBOARD_WORKER_KEY").chmod(0o600)
    (tmp_path / "api" / "DARTBOARD_WORKER_KEY").write_text("")
    with pytest.raises(WeakSecretError, match="--renew api/DARTBOARD_WORKER_KEY"):
        provision(tmp_path)
    assert provision(tmp_path, renew="api/DARTBOARD_WORKER_KEY") == ["api/DARTBOARD_WORKER_KEY"]

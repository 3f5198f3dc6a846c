"""Settings of the identity provider that would not work are refused at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.light

GOOD = {
    "DARTBOARD_OIDC_ISSUER": "https://login.example/realms/lab",
    "DARTBOARD_OIDC_CLIENT_ID": "dartboard",
    "DARTBOARD_PUBLIC_URL": "https://dartboard.example",
    "DARTBOARD_OIDC_ROLES": '{"admin": ["lab-admins"], "user": ["lab"]}',
}
SHOW = """
import sys
from api.settings import SettingsError, get_settings
try:
    print(get_settings().identity_provider)
except SettingsError as error:
    sys.exit(str(error))
"""


def shown(**changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **GOOD, **changes}
    return subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=False)


def test_the_secret_comes_from_a_file_and_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "DARTBOARD_OIDC_CLIENT_SECRET").write_text("only-in-this-file-and-there")
    found = shown(DARTBOARD_SECRETS=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert "lab-admins" in found.stdout
    assert "only-in-this-file" not in found.stdout
    code = "from api.settings import get_settings as g; print(g().identity_provider.client_secret)"
    environment = {**os.environ, **GOOD, "DARTBOARD_SECRETS": str(tmp_path)}
    read = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert read.stdout.strip() == "only-in-this-file-and-there"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DARTBOARD_OIDC_ISSUER", "http://login.example"),
        ("DARTBOARD_OIDC_ISSUER", "login.example"),
        ("DARTBOARD_PUBLIC_URL", "http://dartboard.example"),
        ("DARTBOARD_PUBLIC_URL", ""),
        ("DARTBOARD_OIDC_CLIENT_ID", ""),
        ("DARTBOARD_OIDC_SCOPES", "profile"),
        ("DARTBOARD_OIDC_ROLES", "{}"),
        ("DARTBOARD_OIDC_ROLES", "lab=user"),
        ("DARTBOARD_OIDC_ROLES", '{"worker": ["lab"]}'),
        ("DARTBOARD_OIDC_ROLES", '{"king": ["lab"]}'),
        ("DARTBOARD_OIDC_DEFAULT_ROLE", "worker"),
        ("DARTBOARD_OIDC_CLIENT_SECRET", "short"),
    ],
)
def test_a_setting_that_would_not_work_is_named(variable: str, value: str) -> None:
    found = shown(**{variable: value})
    assert found.returncode == 1
    assert variable in found.stderr
    assert "Traceback" not in found.stderr

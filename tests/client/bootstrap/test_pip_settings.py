"""pip's settings, given to uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.bootstrap import uv_settings

pytestmark = pytest.mark.slow


def pip_settings(folder: Path, configuration: str, **variables: str) -> tuple[dict[str, str], list[str]]:
    """uv's environment and options for settings of pip, as a real pip reads them."""
    (folder / "pip.conf").write_text(configuration)
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_CONFIG_FILE": str(folder / "pip.conf"), **variables}
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, env=given, capture_output=True, text=True, check=True)
    return uv_settings(listed.stdout, given)


def test_pips_files_and_variables_are_given_to_uv_and_variables_win(tmp_path: Path) -> None:
    configuration = """[global]
index-url = https://lab.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/simple
trusted-host = lab.example
timeout = 60
[install]
index-url = https://install.example/simple
find-links = /wheels /more
"""
    found, options = pip_settings(tmp_path, configuration, PIP_CERT="/ca.pem", PIP_PROXY="http://proxy:3128")
    assert found["UV_DEFAULT_INDEX"] == "https://install.example/simple"
    assert found["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert found["UV_FIND_LINKS"] == "/wheels,/more"
    assert (found["UV_INSECURE_HOST"], found["UV_HTTP_TIMEOUT"]) == ("lab.example", "60")
    assert (found["SSL_CERT_FILE"], found["ALL_PROXY"], options) == ("/ca.pem", "http://proxy:3128", [])
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    found, options = pip_settings(
        tmp_path, configuration, PIP_INDEX_URL="https://mine.example", UV_INDEX="https://uv.example", PIP_NO_INDEX="1"
    )
    assert (found["UV_DEFAULT_INDEX"], found["UV_INDEX"]) == ("https://mine.example", "https://uv.example")
    assert options == ["--no-index"]


def test_packages_are_compiled_beforehand_where_an_import_may_not() -> None:
    assert "UV_COMPILE_BYTECODE" not in uv_settings("", {})[0]
    assert uv_settings("", {"PYTHONDONTWRITEBYTECODE": "1"})[0]["UV_COMPILE_BYTECODE"] == "1"


def test_certificates_for_pip_are_taken_also_from_the_variables_of_its_http_library() -> None:
    given = {"REQUESTS_CA_BUNDLE": "/ca.pem"}
    assert uv_settings("", given)[0]["SSL_CERT_FILE"] == "/ca.pem"
    assert uv_settings("global.cert='/pip.pem'\n", given)[0]["SSL_CERT_FILE"] == "/pip.pem"

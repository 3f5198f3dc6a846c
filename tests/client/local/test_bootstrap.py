"""./dartboard on a fresh machine: real virtual environments, pip and uv, on a project that needs nothing but uv."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from client.bootstrap import BootstrapError, Progress, check_disk, failure, has_gpu, uv_settings, without_cuda

pytestmark = pytest.mark.slow

CODE = Path(__file__).parents[3]
MISSING = f"a-package-from-the-index==1 --hash=sha256:{64 * '0'}\n"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "dartboard"
version = "{version}"
dependencies = [{dependencies}]
optional-dependencies = {{ api = [], worker = [], local = [], dev = [] }}
scripts = {{ dartboard = "program:main" }}
"""
# Builds the wheel by hand, so that uv has nothing to fetch. The program tells its arguments, folder and version.
BACKEND = """
import os, pathlib, signal, time, tomllib, zipfile
def build_editable(folder, settings=None, metadata=None):
    if pathlib.Path("slow").exists():
        if pathlib.Path("deaf").exists(): os.kill(os.getppid(), signal.SIGSTOP)
        with open("slow", "w") as pipe: pipe.write(str(os.getpid()))
        time.sleep(600)
    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    version = project["version"]
    needs = "".join(f"Requires-Dist: {need}\\n" for need in project["dependencies"])
    extras = "".join(f"Provides-Extra: {extra}\\n" for extra in project["optional-dependencies"])
    info, name = f"dartboard-{version}.dist-info", f"dartboard-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("program.py", f"import os, sys\\ndef main(): print(sys.argv[1:], os.getcwd(), {version!r})\\n")
        head = f"Metadata-Version: 2.1\\nName: dartboard\\nVersion: {version}\\n"
        wheel.writestr(f"{info}/METADATA", head + needs + extras)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\ndartboard = program:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


@pytest.fixture(scope="module")
def uv_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of uv that our list names, from the machine's own package index."""
    folder = tmp_path_factory.mktemp("uv")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "-r", CODE / "requirements" / "installer.txt", "-d", folder], check=True)
    return folder


def make_project(root: Path, uv_wheel: Path) -> Path:
    (root / "client").mkdir(parents=True)
    shutil.copy(CODE / "dartboard", root)
    shutil.copy(CODE / "client" / "bootstrap.py", root / "client")
    (root / "backend.py").write_text(BACKEND)
    (root / "constraints.txt").write_text("torch==2.14.1\n")
    lock(root, "")
    installer = (CODE / "requirements" / "installer.txt").read_text()
    (root / "requirements" / "installer.txt").write_text(f"--find-links {uv_wheel}\n--no-index\n{installer}")
    configure(root)
    return root


def configure(root: Path, version: str = "1", dependencies: str = "") -> None:
    (root / "pyproject.toml").write_text(PROJECT.format(version=version, dependencies=dependencies))


def environment(**extra: str) -> dict[str, str]:
    """Without the machine's own pip settings and caches; no index answers on the discard port of loopback."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "XDG_CACHE_HOME": os.devnull,
        "DARTBOARD_PYTHON": sys.executable,
        "DARTBOARD_INSTALL_GB": "0.1",
        **extra,
    }


def call(
    command: Path, *arguments: str, cwd: Path | str | None = None, **extra: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(command), *arguments],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    """Of its standard error."""
    assert process.stderr is not None
    return process.stderr.readline()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is when calling for the first time."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def first_call(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: Path, uv_wheel: Path
) -> "subprocess.CompletedProcess[str]":
    """The first call in a project of its own."""
    root = make_project(tmp_path_factory.mktemp("installed") / "with a space", uv_wheel)
    return call(root / "dartboard", "jobs", "--json", "a b", cwd=elsewhere)


@pytest.fixture(scope="module")
def installed(first_call: "subprocess.CompletedProcess[str]") -> Path:
    """A project after its first call."""
    assert first_call.returncode == 0, first_call.stderr
    return Path(first_call.args[0]).parent


@pytest.fixture
def ready(fresh: Path, installed: Path) -> Path:
    """A project with an environment that has pip and uv and nothing else, which takes seconds to make."""
    shutil.copytree(installed / ".venv", fresh / ".venv", symlinks=True)
    for left in (*(fresh / ".venv").glob("install*"), fresh / ".venv" / "torch", fresh / ".venv" / "without-dev"):
        left.unlink()
    return fresh


@pytest.fixture
def fresh(tmp_path: Path, uv_wheel: Path) -> Path:
    return make_project(tmp_path / "fresh", uv_wheel)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with a shell's helpers, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cat", "readlink", "sh"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    return folder


def fake_python(folder: Path, name: str, version: str, code: int) -> Path:
    """An interpreter that answers the question for its version, and nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {version}\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_first_call_installs_and_then_runs_the_command_where_the_user_is(
    first_call: "subprocess.CompletedProcess[str]", installed: Path, elsewhere: Path
) -> None:
    assert first_call.stdout == f"['jobs', '--json', 'a b'] {elsewhere} 1\n"
    assert str(installed / ".venv" / "install.log") in first_call.stderr


def test_second_call_installs_nothing_and_says_nothing(installed: Path) -> None:
    before = (installed / ".venv" / "install.log").stat().st_mtime_ns
    second = call(installed / "dartboard", "--help")
    assert (second.returncode, second.stderr) == (0, "")
    assert (installed / ".venv" / "install.log").stat().st_mtime_ns == before


def test_second_call_needs_no_python_of_the_machine(installed: Path, bare: Path) -> None:
    assert call(installed / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="").returncode == 0


def test_command_works_through_symbolic_links(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "absolute").symlink_to(installed / "dartboard")
    (tmp_path / "links" / "relative").symlink_to("../absolute")
    assert call(tmp_path / "links" / "relative", "x", cwd=tmp_path).stdout == f"['x'] {tmp_path} 1\n"


def test_command_is_found_on_the_path(installed: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        ["dartboard", "x"],
        cwd=tmp_path,
        env=environment(PATH=f"{installed}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"['x'] {tmp_path} 1\n"


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_by_the_next_call(installed: Path, file: str) -> None:
    with (installed / file).open("a") as text:
        text.write("# changed\n")
    assert "installing" in call(installed / "dartboard").stderr
    assert call(installed / "dartboard").stderr == ""


def test_moved_folder_is_installed_again_where_it_is_now(installed: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(installed, moved, symlinks=True)
    (moved / "constraints.txt").write_text("")
    assert call(moved / "dartboard", "x", cwd=tmp_path).stdout.startswith("['x']")
    assert str(moved) in (moved / ".venv" / "bin" / "dartboard").read_text()


def test_environment_left_half_installed_is_made_anew(fresh: Path) -> None:
    packages = fresh / ".venv" / "lib" / "python3" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "torch.py").write_text("half a packa")
    (fresh / ".venv" / "unfinished").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert not (packages / "torch.py").exists()


def test_environment_whose_python_is_gone_is_made_anew(fresh: Path) -> None:
    (fresh / ".venv" / "bin").mkdir(parents=True)
    (fresh / ".venv" / "bin" / "python").symlink_to("/no/such/python")
    assert call(fresh / "dartboard").returncode == 0


def test_environment_of_another_tool_without_pip_is_kept_and_completed(fresh: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh / ".venv"], check=True)
    (fresh / ".venv" / "mine").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert (fresh / ".venv" / "mine").exists()


def test_environment_may_be_a_link_to_a_larger_disk(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "larger").mkdir()
    (fresh / ".venv").symlink_to(tmp_path / "larger")
    (tmp_path / "larger" / "unfinished").touch()
    assert call(fresh / "dartboard").returncode == 0
    assert (tmp_path / "larger" / "bin" / "dartboard").exists()


@pytest.mark.parametrize(
    ("kill", "deaf"), [(signal.SIGTERM, False), (signal.SIGHUP, False), (signal.SIGTERM, True)]
)  # `deaf`: uv is stopped and answers nothing
def test_interrupted_installation_ends_uv_and_is_finished_by_the_next_call(
    ready: Path, kill: signal.Signals, deaf: bool
) -> None:
    os.mkfifo(ready / "slow")
    if deaf:
        (ready / "deaf").touch()
    command = subprocess.Popen([ready / "dartboard"], env=environment(), stderr=subprocess.PIPE, text=True)
    builder = int((ready / "slow").read_text())
    command.send_signal(kill)
    _, said = command.communicate(timeout=240)
    assert command.returncode == 130
    assert "Run the same command again" in said
    left = [*(ready / ".venv").glob("tmp"), *(ready / ".venv" / "cache").glob(".tmp*")]
    assert (left, (ready / ".venv" / "cache" / ".lock").exists()) == ([], True)
    assert not Path(f"/proc/{builder}/cmdline").exists() or not Path(f"/proc/{builder}/cmdline").read_bytes()
    (ready / "slow").unlink()
    assert call(ready / "dartboard").returncode == 0


def test_two_first_calls_at_once_install_once_and_both_run(ready: Path) -> None:
    with (ready / ".venv" / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [
            subprocess.Popen([ready / "dartboard"], env=environment(), stdout=-1, stderr=-1, text=True)
            for _ in range(2)
        ]
        waiting = [first_line(process) for process in both]
    said = [process.communicate(timeout=240) for process in both]
    assert all("another call is installing" in line for line in waiting)
    assert [out for out, _ in said] == [f"[] {os.getcwd()} 1\n"] * 2
    assert sum("installing into" in errors for _, errors in said) == 1


def test_ctrl_c_while_another_call_installs_ends_the_wait_alone(ready: Path) -> None:
    with (ready / ".venv" / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen([ready / "dartboard"], env=environment(), stderr=-1, text=True)
        assert "another call is installing" in first_line(waiting)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert said.strip() == "dartboard: no longer waiting; the other call's installation goes on."


def test_a_script_beside_a_checkout_called_dartboard_imports_the_package(
    installed: Path, tmp_path: Path, uv_wheel: Path
) -> None:
    checkout = make_project(tmp_path / "dartboard", uv_wheel)
    shutil.copytree(installed / ".venv", checkout / ".venv", symlinks=True)
    for name in ("client", "sdk/dartboard"):
        (checkout / name).mkdir(parents=True, exist_ok=True)
        (checkout / name / "__init__.py").write_text("HERE = __file__\n")
    assert call(checkout / "dartboard").returncode == 0
    (tmp_path / "client").mkdir()  # of the user, and no package
    (tmp_path / "script.py").write_text("import client, dartboard\nprint(client.HERE, dartboard.HERE)\n")
    told = call(checkout / ".venv" / "bin" / "python", str(tmp_path / "script.py"), cwd=tmp_path)
    assert told.stdout == f"{checkout}/client/__init__.py {checkout}/sdk/dartboard/__init__.py\n", told.stderr


def test_unreachable_index_is_named_as_no_network_with_log_and_way_on(ready: Path) -> None:
    lock(ready, MISSING)
    failed = call(ready / "dartboard")
    assert failed.returncode == 1
    assert "cannot reach the package index" in failed.stderr
    assert str(ready / ".venv" / "install.log") in failed.stderr
    assert "PIP_INDEX_URL" in failed.stderr
    assert "run the same command again" in failed.stderr


def test_an_index_that_is_unreachable_for_uv_itself_is_named(fresh: Path) -> None:
    shutil.copy(CODE / "requirements" / "installer.txt", fresh / "requirements")
    failed = call(fresh / "dartboard", PIP_RETRIES="1")
    assert failed.returncode == 1
    assert "cannot reach the package index (NewConnectionError)" in failed.stderr


def test_a_failed_download_leaves_installed_packages_alone(ready: Path) -> None:
    call(ready / "dartboard")
    (ready / ".venv" / "mine").touch()
    configure(ready, version="2")
    lock(ready, MISSING)
    assert call(ready / "dartboard").returncode == 1
    configure(ready, version="3")
    lock(ready, "")
    assert call(ready / "dartboard").stdout.endswith(" 3\n")
    assert (ready / ".venv" / "mine").exists()


def test_little_disk_is_refused_before_anything_is_installed(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_INSTALL_GB="1000000")
    assert refused.returncode == 1
    assert re.search(r"not enough disk space: \S+/\.venv needs about 1000000 GB .* GB are free", refused.stderr)
    assert "ln -s" in refused.stderr
    assert not (fresh / ".venv" / "bin").exists()


def test_seven_gigabytes_are_asked_for_and_one_when_torch_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6e9))
    with pytest.raises(BootstrapError, match="about 7 GB"):
        check_disk(tmp_path, {})
    torch = tmp_path / "lib" / "python3.11" / "site-packages" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").touch()
    check_disk(tmp_path, {})


def test_only_old_pythons_are_listed_with_a_hint(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3", "3.9.2", 10)
    fake_python(bare, "python", "2.7.18", 10)
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert "python3 is Python 3.9.2" in refused.stderr
    assert "python is Python 2.7.18" in refused.stderr
    assert "apt install python3" in refused.stderr


def test_machine_without_python_is_told_so(fresh: Path, bare: Path) -> None:
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "no Python at all" in refused.stderr


def test_python_without_venv_is_told_how_to_get_it(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3", "3.12.1", 1)
    refused = call(fresh / "dartboard", PATH=str(bare), DARTBOARD_PYTHON="")
    assert refused.returncode == 1
    assert "Python 3.12.1 is here, but without its venv module" in refused.stderr
    assert "apt install python3-venv   (or python3.12-venv)" in refused.stderr


def test_newest_python_that_can_do_it_is_chosen(fresh: Path, bare: Path) -> None:
    fake_python(bare, "python3.14", "3.14.0", 1)
    fake_python(bare, "python3.10", "3.10.0", 10)
    chosen = bare / "python3.12"
    chosen.write_text('#!/bin/sh\n[ "$1" = -c ] && { echo 3.12.0; exit 0; }\necho "chosen: $*"\n')
    chosen.chmod(0o755)
    ran = call(fresh / "dartboard", "a", "b c", PATH=str(bare), DARTBOARD_PYTHON="")
    assert ran.stdout == f"chosen: -I {fresh}/client/bootstrap.py a b c\n"


def test_wrong_dartboard_python_is_named(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_PYTHON="/no/such/python")
    assert refused.returncode == 1
    assert "DARTBOARD_PYTHON=/no/such/python" in refused.stderr


def test_straight_way_costs_little_beside_the_command_itself(installed: Path) -> None:
    def fastest(*command: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, env=environment(), capture_output=True, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    through, straight = fastest(str(installed / "dartboard")), fastest(str(installed / ".venv" / "bin" / "dartboard"))
    assert through - straight < 0.1


def test_progress_names_the_downloads_that_go_on_and_knows_when_packages_change() -> None:
    progress = Progress(StringIO())
    said = "$ .venv/bin/uv pip install\nResolved 92 packages in 1.87s\nDownloading torch (507.3MiB)\n"
    said += "Downloading numpy (16.9MiB)\n"
    progress.read(said)
    assert progress.line() == "installing 92 packages, downloading torch (507.3MiB) and 1 more ... 0s"
    progress.read(said := said + " Downloaded torch\n")
    assert progress.line() == "installing 92 packages, downloading numpy (16.9MiB) ... 0s"
    assert not progress.changing
    progress.read(said + " Downloaded numpy\n")
    assert progress.line() == "installing 92 packages ... 0s"
    assert progress.changing
    progress.read("$ .venv/bin/python -m pip\n")
    assert not progress.changing
    progress.read("  Downloading uv-0.13.9-py3-none-any.whl (17.6 MB)\nInstalling collected packages: uv\n")
    assert progress.changing
    progress.read("$ .venv/bin/python -m pip\n")
    progress.read("$ .venv/bin/uv pip uninstall torch\n")
    assert progress.changing


def test_progress_without_a_terminal_is_a_line_for_each_phase() -> None:
    shown = StringIO()
    progress = Progress(shown)
    said = ""
    for line in ("Using Python\n", "Resolved 2 packages in 1s\n", "Prepared 2 packages in 1s\n", " + a==1\n"):
        progress.read(said := said + line)
        progress.show()
    assert [line.split()[0] for line in shown.getvalue().splitlines()] == ["preparing", "installing"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "error: Request failed after 3 retries in 9s\n  cause: Failed to fetch: https://x/simple/y/\n"
            "  cause: dns error\n",
            "cannot reach the package index (dns error)",
        ),
        ("ERROR: No matching distribution found for uv==1\n", "uv==1"),
        ("ERROR: ... (from versions: none)\nERROR: No matching distribution found for uv==1\n", "cannot be reached"),
        (
            "WARNING: Retrying after NewConnectionError\nERROR: No matching distribution found for x\n",
            "cannot reach the package index (NewConnectionError)",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device\n", "the disk is full"),
        (
            "error: Failed to write to the client cache\n  cause: No space left on device (os error 28)\n",
            "the disk is full",
        ),
        (
            "error: No solution found\n  cause: Because torch==2.14.1 has no wheels with a matching tag\n",
            "torch==2.14.1",
        ),
        ("error: Failed to download `x==1`\n  cause: Hash mismatch for `x==1`\n", "`x==1`: Hash mismatch"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n", "HASHES"),
        ("", "no output"),
    ],
)
def test_the_reason_of_a_failure_is_found_in_the_output_of_pip_and_uv(said: str, reason: str) -> None:
    assert reason in failure(said, Path("/log"))


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


def wheel(folder: Path, name: str, version: str) -> str:
    """A package of one empty module; its line for a requirements file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "".join(f"{entry},,\n" for entry in (*file.namelist(), f"{info}/RECORD")))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def lock(root: Path, user: str, dev: str = "") -> None:
    (root / "requirements").mkdir(exist_ok=True)
    (root / "requirements" / "user.txt").write_text(user)
    (root / "requirements" / "dev.txt").write_text(user + dev)


def has(root: Path, package: str) -> bool:
    return any((root / ".venv").glob(f"lib/python*/site-packages/{package}-*.dist-info"))


def test_the_developers_tools_are_installed_by_the_first_call_that_needs_them(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    lock(ready, wheel(links, "usertool", "1"), wheel(links, "devtool", "1"))
    offline = {"PIP_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}
    assert call(ready / "dartboard", "demo", **offline).returncode == 0
    assert (has(ready, "usertool"), has(ready, "devtool")) == (True, False)
    assert call(ready / "dartboard", "test", **offline).returncode == 0
    assert has(ready, "devtool")
    assert call(ready / "dartboard", "test", **offline).stderr == ""
    assert call(ready / "dartboard", "demo", **offline).stderr == ""


def test_packages_are_links_into_uvs_cache_of_the_user_and_it_is_named(ready: Path, tmp_path: Path) -> None:
    lock(ready, wheel(tmp_path / "links", "usertool", "1"))
    offline = {"PIP_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1"}
    installed = call(ready / "dartboard", **offline, XDG_CACHE_HOME=str(tmp_path / "cache"), UV_LINK_MODE="hardlink")
    assert f"uv's cache: {tmp_path}/cache/uv\n" in installed.stderr
    (module,) = (ready / ".venv").glob("lib/python*/site-packages/usertool.py")
    assert module.stat().st_nlink == 2


def test_a_cache_that_cannot_be_linked_from_is_replaced_by_one_beside_the_packages(ready: Path) -> None:
    assert f"uv's cache: {ready}/.venv/cache\n" in call(ready / "dartboard").stderr


def test_an_interrupted_download_leaves_nothing_and_installed_packages_stay(ready: Path) -> None:
    call(ready / "dartboard")
    (ready / ".venv" / "mine").touch()
    configure(ready, version="2")
    lock(ready, MISSING)
    with socket.create_server(("127.0.0.1", 0)) as index:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        command = subprocess.Popen([ready / "dartboard"], env=environment(PIP_INDEX_URL=url, DARTBOARD_TORCH="cuda"))
        connection, _ = index.accept()
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=240) == 130
        connection.close()
    configure(ready, version="3")
    lock(ready, "")
    assert call(ready / "dartboard").stdout.endswith(" 3\n")
    assert (ready / ".venv" / "mine").exists()


def test_a_package_with_another_hash_than_the_lists_is_refused(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    line = wheel(links, "usertool", "1")
    lock(ready, line[:-65] + 64 * "0" + "\n")
    refused = call(ready / "dartboard", PIP_FIND_LINKS=str(links), PIP_NO_INDEX="1")
    assert refused.returncode == 1
    assert "Hash mismatch for `usertool==1`" in refused.stderr
    assert not has(ready, "usertool")


@pytest.fixture
def torches(ready: Path, tmp_path: Path) -> dict[str, str]:
    """pip's settings: an index with both builds of torch; what the build with CUDA asks for is there, too."""
    links = tmp_path / "links"
    names = {"torch": "2.14.1", "torchvision": "0.29.1", "triton": "3", "nvidia_cublas": "13", "nvidia_ml_py": "13"}
    lock(ready, "".join(wheel(links, name, version) for name, version in names.items()))
    (ready / "constraints.txt").write_text("torch==2.14.1\ntorchvision==0.29.1\n")
    for name in ("torch", "torchvision"):
        wheel(links, name, f"{names[name]}+cpu")
    return {"PIP_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}


def test_torch_without_cuda_is_taken_where_the_index_has_it_and_the_other_one_on_demand(
    ready: Path, torches: dict[str, str]
) -> None:
    first = call(ready / "dartboard", DARTBOARD_TORCH="cpu" if has_gpu() else "auto", **torches)
    assert "torch for CPUs; DARTBOARD_TORCH=cuda takes the other one" in first.stderr
    assert [has(ready, name) for name in ("torch", "triton", "nvidia_cublas", "nvidia_ml_py")] == [1, 0, 0, 1]
    assert call(ready / "dartboard", **torches).stderr == ""
    other = call(ready / "dartboard", DARTBOARD_TORCH="cuda", **torches)
    assert other.returncode == 0, other.stderr
    assert [has(ready, name) for name in ("triton", "nvidia_cublas")] == [1, 1]
    assert list((ready / ".venv").glob("lib/python*/site-packages/torch-2.14.1.dist-info"))
    assert call(ready / "dartboard", DARTBOARD_TORCH="cuda", **torches).stderr == ""


@pytest.mark.skipif(has_gpu(), reason="with a GPU the build with CUDA is no second choice")
def test_an_index_without_builds_for_cpus_gives_the_other_one_and_is_named(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    lock(ready, wheel(links, "torch", "2.14.1"))
    told = call(ready / "dartboard", PIP_FIND_LINKS=str(links), PIP_NO_INDEX="1")
    assert told.returncode == 0
    assert "the index in use has no build for CPUs, DARTBOARD_TORCH=cpu takes it from https://" in told.stderr


def test_a_build_for_cpus_that_is_nowhere_is_refused_with_the_way_out(ready: Path) -> None:
    lock(ready, f"torch==2.14.1 --hash=sha256:{64 * '0'}\n")
    index = {"DARTBOARD_TORCH": "cpu", "DARTBOARD_TORCH_INDEX": "http://127.0.0.1:9/whl"}
    refused = call(ready / "dartboard", **index)
    assert refused.returncode == 1
    assert "nor http://127.0.0.1:9/whl has torch==2.14.1+cpu" in refused.stderr
    assert "DARTBOARD_TORCH=cuda" in refused.stderr


def test_a_build_of_torch_that_there_is_not_is_refused(fresh: Path) -> None:
    refused = call(fresh / "dartboard", DARTBOARD_TORCH="rocm")
    assert (refused.returncode, "DARTBOARD_TORCH=rocm: give cpu, cuda or auto" in refused.stderr) == (1, True)


def test_a_long_wait_without_a_terminal_has_a_line_within_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("client.bootstrap.time.monotonic", lambda: clock[0])
    shown = StringIO()
    progress = Progress(shown)
    for _ in range(40):
        progress.show()
        clock[0] += 0.25
    assert len(shown.getvalue().splitlines()) >= 3


def test_requirements_without_cuda_keep_all_else() -> None:
    lines = ["a==1 \\\n    --hash=sha256:1\n", "torch==2 ; sys_platform == 'linux' \\\n    --hash=sha256:2\n"]
    lines += ["nvidia-cudnn-cu13==9 \\\n    --hash=sha256:3\n", "nvidia-ml-py==13 \\\n    --hash=sha256:4\n"]
    assert without_cuda("".join(lines)) == lines[0] + lines[3]

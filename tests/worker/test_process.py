import subprocess
import sys


def test_the_main_process_imports_no_torch() -> None:
    """It only waits: every GPU's worker would otherwise hold some 500 MB for nothing."""
    code = (
        "import os, sys; os.environ['DARTBOARD_WORKER_KEY'] = 'k' * 16; "
        "import worker.__main__, worker.app, worker.tasks, worker.presence, worker.recovery; "
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_without_a_key_names_the_missing_variable() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "worker"], env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "DARTBOARD_WORKER_KEY" in ended.stderr

"""Waits for a server whose supervisor was killed, before its files are used again."""

import os
import select
import sys
from pathlib import Path

from darts_core.runtime.errors import StackError


def wait_for_leftover(pid_file: Path, directory: Path, *, seconds: float = 30.0) -> None:
    """Return once no process named by `pid_file` works in `directory`; removes a stale file.

    A pid file outlives a SIGKILL, and after a reboot its number may belong to another program; a server that finds it
    then refuses to start. Raises StackError when the old server still runs after `seconds`.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    if sys.platform != "linux":
        return  # without /proc the server's own check decides
    if not _works_in(pid, directory):
        pid_file.unlink(missing_ok=True)
        return
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([process], [], [], seconds)[0]:
            raise StackError(
                f"An earlier server with pid {pid} still uses {directory} after {seconds:.0f} s: "
                f"stop it with `kill -INT {pid}`, then start again."
            )
    finally:
        os.close(process)


def _works_in(pid: int, directory: Path) -> bool:
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", directory)
    except FileNotFoundError:
        return False
    except PermissionError:
        # Another user's process hides its working directory, but not its command.
        try:
            return os.fsencode(directory) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False

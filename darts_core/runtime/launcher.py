"""Ties a process to its parent's life, changes its identity if asked, and executes a command.

It runs between fork and exec, in a fresh single-threaded interpreter: a `preexec_fn` would run Python in the fork of a
process with threads, where any lock may be held for ever. Standard library only, and no import of ours, because `python
-S -I launcher.py` must start in milliseconds and run before anything is installed.

    launcher.py PARENT SIGNAL IDENTITY COMMAND ...

PARENT: pid of the starter; exit if it is gone already. SIGNAL: number to receive when it dies. IDENTITY: `self`;
`namespace` (a user namespace in which we are `nobody`, for servers that refuse root or a uid without a name); `nobody`
(root only: that user, keeping the right to traverse root's directories where the machine allows).
"""

import ctypes
import os
import sys

NOBODY = 65534
REFUSED = 71  # EX_OSERR: the machine refuses the identity

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Assume the identity, set the parent-death signal, execute the command. Exits 71 when refused."""
    parent, death_signal, identity = int(arguments[0]), int(arguments[1]), arguments[2]
    command = arguments[3:]
    try:
        if identity == "namespace":
            _enter_user_namespace()
        elif identity == "nobody":
            _become_nobody()
    except OSError as error:
        sys.stderr.write(f"launcher: identity {identity} refused: {error}\n")
        raise SystemExit(REFUSED) from None
    if sys.platform == "linux":
        # After the identity: a change of credentials clears the signal.
        _check(_libc().prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl")
        # A parent that died before the line above sends no signal.
        if os.getppid() != parent:
            raise SystemExit(0)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a shell in between is what we don't want
    except OSError as error:
        sys.stderr.write(f"launcher: cannot run {command[0]}: {error}\n")
        raise SystemExit(127) from None


def _enter_user_namespace() -> None:
    """Become `nobody` in this process and its children; file ownership on disk stays ours."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc().unshare(_CLONE_NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _become_nobody() -> None:
    """Change to the user `nobody`, keeping CAP_DAC_OVERRIDE if available: /root is often closed to other users."""
    linux = sys.platform == "linux"
    if linux:
        _libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    if linux and _set_only_capability(_CAP_DAC_OVERRIDE):
        _libc().prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _set_only_capability(capability: int) -> bool:
    """Keep one capability as effective, permitted and inheritable, and drop all others. False when refused."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    kept: int = _libc().capset(header, data)
    if kept != 0:  # refused: drop everything
        _libc().capset(header, (ctypes.c_uint32 * 6)())
    return kept == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Reserves loopback ports until their servers listen."""

import errno
import http.client
import ipaddress
import json
import socket
import sys
from typing import Final

from darts_core.runtime.errors import BadSettingError

_PATIENCE: Final = 1.0  # seconds for the program at a port to say what it is


def loopback(host: str) -> str:
    """The loopback address of `host`. Raises BadSettingError for an address that other machines can reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise BadSettingError(
        f"Host {host!r} is not a loopback address. The local services start without API keys, so they listen on this "
        "machine only: use --host 127.0.0.1, and an SSH tunnel to reach it from elsewhere."
    )


class Reservation:
    """A reserved port: no other program gets it, while our own servers may listen on it.

    Linux lets a listener share a socket that is bound but not listening when both set SO_REUSEADDR (Postgres, Valkey
    and uvicorn do). On other systems the port is only probed, and may be taken before the server listens.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Take `port`, or any free one for 0. Raises BadSettingError when it is in use or not allowed."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise BadSettingError(_reason(host, port, error)) from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def release(self) -> None:
        """Release the port. Idempotent."""
        self._socket.close()


def _is_dartboard(host: str, port: int) -> bool:
    """Whether a Dartboard API answers at this port."""
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/version")
        answer = json.loads(connection.getresponse().read(1000))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and list(answer) == ["version"]


def _reason(host: str, port: int, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    other = "choose another with --port (--port 0 takes any free one)"
    if code == errno.EADDRINUSE:
        if _is_dartboard(host, port):
            return f"Port {port} on {host} is in use by another Dartboard service: stop that one, use it, or {other}."
        return f"Port {port} on {host} is in use by another program: stop that one, or {other}."
    if code == errno.EACCES:
        return f"Port {port} on {host} is reserved for the system administrator: {other}."
    return f"Cannot listen on port {port} of {host} ({error}): {other}."

"""An SMTP server on loopback that keeps what it is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from queue import Queue
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

SECONDS = 30


@dataclass
class Mailbox:
    """answers: to the first messages; `250 OK` from then on. logins: names and passwords as they came."""

    port: int
    answers: list[str] = field(default_factory=list)
    messages: Queue[EmailMessage] = field(default_factory=Queue)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    def next(self) -> EmailMessage:
        """Wait for a message that was taken or refused."""
        return self.messages.get(timeout=SECONDS)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        self.messages.put(message_from_bytes(envelope.content, policy=default))
        return answer

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login, given.password))
        return AuthResult(success=True)


@contextmanager
def mailbox(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """tls: for STARTTLS, with which it wants a login."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box = Mailbox(probe.getsockname()[1])
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        tls_context=tls,
        require_starttls=tls is not None,
        auth_required=tls is not None,
        authenticator=box.login,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()

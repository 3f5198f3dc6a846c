"""Sends a webhook's messages by e-mail, through the SMTP server that the admin names."""

from __future__ import annotations

import json
import smtplib
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

PREFIX: Final = "mailto:"
_PORTS: Final = {"smtp": 587, "smtps": 465}
_LONGEST: Final = 254
# For each answer of the server.
_SECONDS: Final = 10.0


@dataclass(frozen=True)
class MailSettings:
    """server: smtp://[user:password@]host[:port], encrypted by STARTTLS where the server has it, or smtps://.
    sender: the address that mail comes from. domains: to which mail may go; none means any. Raises ValueError.
    """

    server: str
    sender: str
    domains: frozenset[str]

    def __post_init__(self) -> None:
        smtp_server(self.server)
        recipient(self.sender)


class Mailer:
    """Sends one message at a time, over a connection of its own."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._server = smtp_server(settings.server)

    def check(self, address: Address) -> None:
        """Raises ValueError for a domain to which no mail may go."""
        domains = self._settings.domains
        if domains and address.domain.lower() not in domains:
            raise ValueError(f"mail may go to {', '.join(sorted(domains))} alone: an admin sets DARTBOARD_SMTP_DOMAINS")

    def send(self, id_: str, to: str, body: str) -> int:
        """Send a body of `email_body`, whose Message-ID is the same in each try. Returns the server's code.

        Raises OSError, of which `smtplib.SMTPException` is one.
        """
        message = EmailMessage(SMTP)
        message["From"], message["To"] = self._settings.sender, to
        message["Message-ID"], message["Date"] = f"<{id_}@dartboard>", formatdate(usegmt=True)
        written = json.loads(body)
        message["Subject"] = " ".join(written["subject"].split())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(written["text"])
        server, context = self._server, ssl.create_default_context()
        port = server.port or _PORTS[server.scheme]
        host = server.hostname or ""
        if server.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context)
        else:
            connection = smtplib.SMTP(host, port, timeout=_SECONDS)
        with connection:
            connection.ehlo_or_helo_if_needed()
            if server.scheme == "smtp" and connection.has_extn("starttls"):
                connection.starttls(context=context)
            if server.username:
                if server.scheme == "smtp" and not isinstance(connection.sock, ssl.SSLSocket):
                    raise smtplib.SMTPNotSupportedError("without STARTTLS the server would get the password in clear")
                connection.login(unquote(server.username), unquote(server.password or ""))
            connection.send_message(message)
        return 250


def recipient(url: str) -> Address:
    """The address of a `mailto:` URL. Raises ValueError."""
    text = unquote(url.removeprefix(PREFIX))
    try:
        if len(text) > _LONGEST or not text.isascii() or not text.isprintable():
            raise ValueError(text)
        address = Address(addr_spec=text)
        if not address.username or not address.domain:
            raise ValueError(text)
    except Exception:  # its parser raises whatever it stumbles over
        raise ValueError("give one address, as in mailto:name@example.org") from None
    return address


def email_body(subject: str, lines: list[str]) -> str:
    """What `Mailer.send` sends."""
    return json.dumps({"subject": f"[Dartboard] {subject}", "text": "\n".join([subject, "", *lines]) + "\n"})


def smtp_server(url: str) -> SplitResult:
    """Raises ValueError for what is no URL of an SMTP server."""
    found = urlsplit(url)
    if found.scheme not in _PORTS or not found.hostname or found.path not in ("", "/") or found.query:
        raise ValueError("give smtp://host:port or smtps://host:port, with user:password@ before the host if need be")
    _ = found.port  # raises for one out of range
    return found

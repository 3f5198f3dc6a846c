"""A service whose people log in at a provider, and a browser's side of a login without a browser."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from client.local.stack import LocalStack
from tests.support.keys import Guarded, made_on_the_server
from tests.support.oidc_provider import CLIENT, SECRET, OidcProvider

ROLES = {"admin": ["lab-admins"], "user": ["lab"], "viewer": ["guests"]}


@dataclass(frozen=True)
class OidcService:
    """A service and its provider."""

    guarded: Guarded
    provider: OidcProvider

    def browser(self) -> httpx.Client:
        """A client that keeps cookies and follows no redirect."""
        return httpx.Client(base_url=self.guarded.url, timeout=20, follow_redirects=False)

    def start(self, browser: httpx.Client, place: str = "") -> dict[str, str]:
        """Ask for a login; what the service asks the provider for."""
        answer = browser.get("/session/login", params={"place": place} if place else {})
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"].startswith(f"{self.provider.issuer}/authorize?")
        return dict(httpx.QueryParams(urlsplit(answer.headers["Location"]).query))

    def answer(self, browser: httpx.Client, place: str = "") -> str:
        """Log in at the provider; the path and query with which the browser comes back."""
        url = urlsplit(self.provider.authorize(self.start(browser, place)))
        return f"{url.path}?{url.query}"

    def log_in(self, browser: httpx.Client, place: str = "") -> httpx.Response:
        """A whole login; the service's last answer."""
        return browser.get(self.answer(browser, place))


def own(service: OidcService) -> dict[str, str]:
    """The headers of a request from the service's own page."""
    return {"Origin": service.guarded.url}


@contextmanager
def serving(data: Path, provider: OidcProvider) -> Iterator[OidcService]:
    """Start a service whose people log in at this provider."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "DARTBOARD_REQUIRE_KEYS": "true",
        "DARTBOARD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DARTBOARD_OIDC_ISSUER": provider.issuer,
        "DARTBOARD_OIDC_CLIENT_ID": CLIENT,
        "DARTBOARD_OIDC_CLIENT_SECRET": SECRET,
        "DARTBOARD_OIDC_NAME": "the <Lab>",
        "DARTBOARD_OIDC_ROLES": json.dumps(ROLES),
    }
    with LocalStack(data, port=port, workers=0, environment=environment) as stack:
        api = stack.processes["api"]
        assert api.log is not None
        told = api.command.environment
        made = made_on_the_server(told["DATABASE_URL"], "--role", "admin", "--owner", "root")
        assert made.returncode == 0, made.stderr
        guarded = Guarded(stack.url, made.stdout.strip(), told["DARTBOARD_WORKER_KEY"], told["DATABASE_URL"], api.log)
        yield OidcService(guarded, provider)

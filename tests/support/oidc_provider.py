"""An OpenID Connect provider on loopback: discovery, keys, logins, codes with PKCE, tokens, userinfo, logout.

Tests change what it does: a provider is the third party, and may be broken or an attacker.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "dartboard", "a-secret-of-the-provider-and-us"


@dataclass
class Account:
    """Someone who has an account at the provider."""

    subject: str
    name: str
    username: str
    groups: list[str]


@dataclass
class OidcProvider:
    """account: who logs in next. claims: change those of the next tokens. sign: makes a token of claims, by default
    with the last of `keys`, all of which are published. userinfo: answers with groups there instead of in the token.
    """

    issuer: str
    account: Account
    keys: list[RSAKey] = field(default_factory=lambda: [new_key()])
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    userinfo: bool = False
    codes_once: bool = True
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def token(self, claims: dict[str, Any]) -> str:
        if self.sign is not None:
            return self.sign(claims)
        key = self.keys[-1]
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    def discovery(self) -> dict[str, Any]:
        endpoints = {
            "authorization_endpoint": "/authorize",
            "token_endpoint": "/token",
            "jwks_uri": "/keys",
            "userinfo_endpoint": "/userinfo",
            "end_session_endpoint": "/logout",
        }
        return {
            "issuer": self.issuer,
            **{name: f"{self.issuer}{path}" for name, path in endpoints.items()},
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }

    def fetches(self, path: str) -> int:
        """How often a path has been requested."""
        return self.requests.count(path)

    def authorize(self, given: dict[str, str]) -> str:
        """Where a browser goes once the account has logged in."""
        assert given["response_type"] == "code"
        assert given["client_id"] == CLIENT
        assert given["code_challenge_method"] == "S256"
        back = {"state": given["state"], "session_state": "something-of-its-own"}
        if self.error:
            return f"{given['redirect_uri']}?{urlencode(back | {'error': self.error})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = given
        return f"{given['redirect_uri']}?{urlencode(back | {'code': code})}"

    def exchange(self, given: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The token endpoint's answer."""
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        code = given["code"]
        asked = self.codes.pop(code, None) if self.codes_once else self.codes.get(code)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            asked is None
            or asked["code_challenge"] != challenge.decode()
            or asked["redirect_uri"] != given["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "sub": self.account.subject, "aud": CLIENT}
        claims |= {"iat": now, "exp": now + 300, "nonce": asked["nonce"], "name": self.account.name}
        claims |= {"preferred_username": self.account.username}
        if not self.userinfo:
            claims["groups"] = self.account.groups
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return 200, {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.token(claims)}


def new_key(kid: str | None = None) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid or secrets.token_hex(4), "use": "sig"})


@contextmanager
def providing(port: int = 0) -> Iterator[OidcProvider]:
    """A provider whose address stays when it is stopped and started again at its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            provider.requests.append(url.path)
            given = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                self.answer(200, provider.discovery())
            elif url.path == "/keys":
                self.answer(200, {"keys": [key.as_dict(private=False) for key in provider.keys]})
            elif url.path == "/userinfo":
                account = provider.account
                self.answer(200, {"sub": account.subject, "groups": account.groups})
            elif url.path == "/authorize":
                self.page(f'<h1>Provider</h1><a href="{provider.authorize(given).replace("&", "&amp;")}">Continue</a>')
            elif url.path == "/logout":
                self.page(f'<h1>Logged out</h1><a href="{given["post_logout_redirect_uri"]}">Back</a>')
            else:
                self.answer(404, {})

        def do_POST(self) -> None:
            provider.requests.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*provider.exchange(given, self.headers.get("authorization", "")))

        def answer(self, status: int, content: dict[str, Any]) -> None:
            self.send(status, "application/json", json.dumps(content).encode())

        def page(self, content: str) -> None:
            whole = (
                f'<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,">{content}</html>'
            )
            self.send(200, "text/html", whole.encode())

        def send(self, status: int, media_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        account = Account("1f0c", "Ada Lovelace", "ada@example.org", ["lab"])
        provider = OidcProvider(f"http://127.0.0.1:{server.server_port}", account)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()

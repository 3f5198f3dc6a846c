"""Logs people in at an OpenID Connect provider: authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from authlib.common.urls import add_params_to_uri
from authlib.deprecate import AuthlibDeprecationWarning
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from api.auth.identities import Person
from api.auth.login_attempt import LoginAttempt
from api.auth.provider_settings import ProviderSettings
from api.http.problems import ProblemError
from api.http.security import is_loopback
from darts_core.validation import plain

with warnings.catch_warnings():
    # authlib prefers httpx2, which has the same interface; the rest of Dartboard has httpx.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError

_log = structlog.get_logger(__name__)
_SECONDS: Final = 10.0
# Signatures by a key of the provider. Never `none`, never HS256, whose key could be one that is public.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_PUBLIC_KEYS: Final = frozenset({"RSA", "EC", "OKP"})
_LEEWAY_SECONDS: Final = 60
_METADATA_SECONDS: Final = 3600.0
# Tokens that name unknown keys must not make the service ask again and again.
_RENEWAL_PAUSE_SECONDS: Final = 60.0
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_ENDPOINTS: Final = frozenset({"end_session_endpoint", "userinfo_endpoint"})
_SHOWN_GROUPS: Final = 20


class IdentityProvider:
    """The provider. Reads its discovery document at the first login and every hour.

    Methods raise ProblemError: 503 if it cannot be reached, 502 for answers against the standard, 403 for a login that
    is refused.
    """

    def __init__(self, settings: ProviderSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self._clock = settings, clock
        self._tls = httpx.create_ssl_context()
        self._metadata: dict[str, Any] = {}
        self._keys, self._renewing = KeySet([]), asyncio.Lock()
        self._metadata_at = self._renewed_at = float("-inf")

    async def authorization_url(self, attempt: LoginAttempt) -> str:
        """Where the browser goes to log in."""
        endpoint = (await self._discovered())["authorization_endpoint"]
        url, _ = self._client().create_authorization_url(
            endpoint, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
        return str(url)

    async def logout_url(self) -> str | None:
        """Where the browser ends its session at the provider (RP-initiated logout); None if it cannot."""
        endpoint = (await self._discovered()).get("end_session_endpoint")
        if endpoint is None:
            return None
        back = f"{self.settings.public_url.rstrip('/')}/"
        given = [("client_id", self.settings.client_id), ("post_logout_redirect_uri", back)]
        return str(add_params_to_uri(endpoint, given))

    async def redeem(self, attempt: LoginAttempt, code: str) -> Person:
        """Exchange the code that a browser has brought back for the person who logged in."""
        metadata = await self._discovered()
        client = self._client(metadata)
        try:
            async with client:
                token = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.verifier,
                    redirect_uri=self.settings.callback_url,
                )
                claims = await self._claims(token, attempt)
                return self._person(await self._with_groups(client, metadata, claims))
        except OAuthError as error:
            raise self._refused(f"it answers {plain(str(error.error), 100)}") from error
        except (JoseError, KeyError, TypeError, ValueError) as error:
            _log.warning("bad_login", issuer=self.settings.issuer, error=f"{type(error).__name__}: {error}"[:500])
            raise self._refused(f"its token is not valid ({_reason(error)})") from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _client(self, metadata: dict[str, Any] | None = None) -> AsyncOAuth2Client:
        settings = self.settings
        methods = (metadata or {}).get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return AsyncOAuth2Client(
            settings.client_id,
            settings.client_secret,
            token_endpoint_auth_method=method if settings.client_secret else "none",
            scope=settings.scopes,
            redirect_uri=settings.callback_url,
            code_challenge_method="S256",
            verify=self._tls,
            timeout=_SECONDS,
        )

    async def _discovered(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 1.0, section 4)."""
        if self._clock() - self._metadata_at > _METADATA_SECONDS:
            issuer = self.settings.issuer
            found = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                other = plain(str(found.get("issuer")), 200)
                raise self._broken(f"its discovery document is of {other!r}, DARTBOARD_OIDC_ISSUER is {issuer!r}")
            for name in _ENDPOINTS:
                self._check_endpoint(name, found.get(name))
            for name in _OPTIONAL_ENDPOINTS & found.keys():
                self._check_endpoint(name, found[name])
            # The keys are read again, too: one that the provider has withdrawn counts no longer.
            self._metadata, self._metadata_at, self._keys = found, self._clock(), KeySet([])
        return self._metadata

    def _check_endpoint(self, name: str, url: object) -> None:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or not parts.hostname or not (parts.scheme == "https" or is_loopback(parts.hostname)):
            raise self._broken(f"its discovery document has {plain(str(url), 200)!r} as {name}, which is no https URL")

    async def _fetch(self, url: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(verify=self._tls, timeout=_SECONDS) as client:
                answer = await client.get(url, headers={"Accept": "application/json"})
                found = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            raise self._broken(f"{url} is not JSON") from error
        if not isinstance(found, dict):
            raise self._broken(f"{url} is not a JSON object")
        return found

    async def _claims(self, token: dict[str, Any], attempt: LoginAttempt) -> dict[str, Any]:
        """The claims of the id token, whose signature, issuer, audience, times and nonce are right.

        OpenID Connect Core 1.0, section 3.1.3.7.
        """
        registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        text = token["id_token"]
        try:
            found = jwt.decode(text, await self._key_set(), registry=registry)
        except InvalidKeyIdError:
            found = jwt.decode(text, await self._key_set(renew=True), registry=registry)
        wanted: Any = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
            "sub": {"essential": True},
        }
        params = {
            "client_id": self.settings.client_id,
            "access_token": token.get("access_token"),
            "nonce": attempt.nonce,
        }
        claims = CodeIDToken(found.claims, found.header, wanted, params)
        claims.validate(leeway=_LEEWAY_SECONDS)
        return dict(claims)

    async def _key_set(self, *, renew: bool = False) -> KeySet:
        """The provider's public keys. renew: read them again, once a minute at most: it may have changed them."""
        async with self._renewing:
            renew = renew and self._clock() - self._renewed_at > _RENEWAL_PAUSE_SECONDS
            if renew:
                self._renewed_at = self._clock()
            if renew or not self._keys:
                listed = (await self._fetch(self._metadata["jwks_uri"])).get("keys")
                public = [key for key in listed or [] if key.get("kty") in _PUBLIC_KEYS and key.get("use") != "enc"]
                self._keys = KeySet.import_key_set({"keys": public})
            return self._keys

    async def _with_groups(
        self, client: AsyncOAuth2Client, metadata: dict[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """Add the claims of the userinfo endpoint if the token has no groups."""
        endpoint = metadata.get("userinfo_endpoint")
        if self.settings.groups_of(claims) is not None or endpoint is None or not self.settings.roles:
            return claims
        more = (await client.get(endpoint)).raise_for_status().json()
        if more.get("sub") != claims["sub"]:
            raise ValueError("userinfo is of another subject")
        return {**more, **claims}

    def _person(self, claims: dict[str, Any]) -> Person:
        groups = self.settings.groups_of(claims) or []
        role = self.settings.role_of(groups)
        if role is None:
            told = ", ".join(groups[:_SHOWN_GROUPS]) or "none"
            wanted = f"has none of the groups that may log in here (its groups: {told})"
            raise ProblemError(403, f"your account at {self.settings.label} {wanted}: ask an admin")
        login, name = (_text(claims, claim) for claim in ("preferred_username", "name"))
        label = name or login or _text(claims, "email") or claims["sub"]
        return Person(self.settings.issuer, claims["sub"], login or name, plain(label, 100), role)

    def _refused(self, why: str) -> ProblemError:
        return ProblemError(403, f"{self.settings.label} has not confirmed the login: {why}; sign in again")

    def _broken(self, why: str) -> ProblemError:
        return ProblemError(502, f"signing in at {self.settings.label} does not work: {why}; use a key")

    def _unreachable(self, error: httpx.HTTPError) -> ProblemError:
        _log.warning(
            "provider_unreachable", issuer=self.settings.issuer, error=f"{type(error).__name__}: {error}"[:500]
        )
        detail = f"{self.settings.label} cannot be reached ({type(error).__name__}): try again later, or use a key"
        return ProblemError(503, detail, headers={"Retry-After": "10"})


def _text(claims: dict[str, Any], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


def _reason(error: Exception) -> str:
    return plain(str(error) or type(error).__name__, 200)

"""Authenticates, authorises, rate-limits and audits every request before its body is read."""

from __future__ import annotations

import hmac
import re
from uuid import UUID

import structlog
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.auth.identities import Holder
from api.auth.ownership import check_owner, job_id_of
from api.auth.permissions import SAFE_METHODS, Rule, holds_jobs, rule_for
from api.auth.principal import LOCAL, Principal, acting
from api.auth.quotas import Meters, with_defaults
from api.auth.service import limits_of
from api.auth.sessions import COOKIE
from api.http import problems
from api.http.body_limit import brings_a_file
from api.http.problems import ProblemError
from api.http.security import has_own_origin
from api.schemas.keys import Role
from api.settings import Settings

_log = structlog.get_logger(__name__)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_HOW = "send a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`"


class AuthMiddleware:
    """Responds 401 to an unknown caller, 403 to a missing permission and 429 past a quota."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._defaults, self._meters = settings.key_limits, Meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, rule = Request(scope), rule_for(scope["method"], scope["path"])
        if rule.role is None:
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._identify(request, rule)
            self._meters.request(principal)
        except Exception as error:
            await self._refuse(request, error, receive, send)
            return
        # Bound outside `acting`, so that the access log's line also carries the caller.
        bind_contextvars(**_caller_fields(principal))
        with acting(principal):
            await self._pass(request, rule, principal, receive, send)

    async def _pass(self, request: Request, rule: Rule, principal: Principal, receive: Receive, send: Send) -> None:
        """Check permissions and forward the request; audit it if it may change something."""
        entry: _AuditEntry | None = None
        # The jobs' own event logs hold the workers' reports, which arrive many times a minute.
        if request.method not in SAFE_METHODS and rule.role is not Role.WORKER:
            entry = _AuditEntry(request, rule, principal, send)
            send = entry.send
        try:
            _check_role(rule, principal)
            if principal.session_id is not None and request.method not in SAFE_METHODS:
                _check_origin(request.headers)
            if rule.owned is not None:
                await check_owner(request.app.state.database, principal, rule.owned)
            if brings_a_file(request.scope) and principal.role is not Role.WORKER:
                receive = self._metered(request, principal, receive)
        except Exception as error:
            await self._refuse(request, error, receive, send)
            return
        try:
            await self._app(request.scope, receive, send)
        except Exception:
            # An outer handler responds 500, but the request may have changed something.
            if entry is not None:
                await entry.write(500)
            raise

    async def _identify(self, request: Request, rule: Rule) -> Principal:
        """The request's principal. Raises ProblemError 401 if there is none."""
        given = _presented_key(request.headers)
        if given is not None:
            return await self._key_principal(request, given)
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and (found := await request.app.state.sessions.find(cookie)) is not None:
            session, holder = found
            return self._principal(holder, session_id=session.id, expires_at=session.expires_at, person=holder.person)
        if rule.role is Role.WORKER:
            raise _denied("workers only: send the worker key as `Authorization: Bearer <key>`")
        if not self._settings.require_keys:
            return LOCAL
        raise _denied("the session has ended: log in again" if cookie is not None else f"a key is required: {_HOW}")

    async def _key_principal(self, request: Request, given: str) -> Principal:
        shared = self._settings.worker_key
        if shared is not None and hmac.compare_digest(given.encode(), shared.get_secret_value().encode()):
            return Principal(Role.WORKER)
        holder = await request.app.state.keys.find(given)
        if holder is None:
            extra = "" if self._settings.require_keys else "; this service requires no key: leave it out"
            raise _denied(f"no such key{extra}")
        key = holder.key
        if key.revoked_at is not None:
            _log.warning("revoked_key", key=str(key.id), owner=key.owner, path=request.url.path)
            revoked = f"{key.revoked_at:%Y-%m-%d %H:%M:%S} UTC"
            raise _denied(f"this key was revoked at {revoked}: ask an admin for another")
        days = self._settings.oidc_key_days
        if holder.rests(days):
            raise _denied(
                f"{key.owner} has not signed in for {days:g} days: sign in at the dashboard, then the key works"
            )
        return self._principal(holder)

    def _principal(self, holder: Holder, **session: object) -> Principal:
        key = holder.key
        limits = with_defaults(limits_of(key), self._defaults)
        return Principal(holder.role, key.owner, key.id, limits, **session)  # type: ignore[arg-type]

    def _metered(self, request: Request, principal: Principal, receive: Receive) -> Receive:
        """Count the body against the daily upload quota: up front if its length is announced, else chunk by chunk."""
        length = request.headers.get("content-length", "")
        if length.isdecimal():
            self._meters.upload(principal, int(length))
            return receive

        read = 0
        refusal: ProblemError | None = None

        async def counted() -> Message:
            nonlocal read, refusal
            if refusal is not None:
                # `drain` reads on after a refusal and must not wait for a chunk that may never arrive.
                raise refusal
            message = await receive()
            size = len(message.get("body", b""))
            read += size
            try:
                self._meters.upload(principal, size, total=read)
            except ProblemError as error:
                refusal = error
                raise
            return message

        return counted

    async def _refuse(self, request: Request, error: Exception, receive: Receive, send: Send) -> None:
        answer = problems.response_to(error, request.url.path)
        if answer is None:
            raise error
        if isinstance(error, ProblemError):
            _log.info("refused", method=request.method, path=request.url.path, status=error.status)
        await answer(request.scope, receive, send)


def _presented_key(headers: Headers) -> str | None:
    """The key in the request headers. An Authorization scheme other than Bearer may belong to a proxy."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    return headers.get("x-api-key")


def _denied(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers=_CHALLENGE)


def _check_role(rule: Rule, principal: Principal) -> None:
    if rule.role is not None and not rule.allows(principal.role):
        raise ProblemError(403, f"this requires a key with the role {rule.role}; this key's role is {principal.role}")
    if rule.signed_in and principal.person is None and principal.role is not Role.ADMIN:
        raise ProblemError(403, "only admins create keys; people who sign in at the dashboard create their own there")


def _check_origin(headers: Headers) -> None:
    """Reject a cross-site request that carries a session cookie, even if SameSite failed to withhold it."""
    if not has_own_origin(headers):
        raise ProblemError(403, "with a session cookie, requests that change something must come from this site")


def _caller_fields(principal: Principal) -> dict[str, str]:
    """The caller's fields for log lines: the key's id, never the key."""
    if principal.key_id is None:
        return {}
    return {"key": str(principal.key_id), "owner": principal.owner or ""}


_CREATED = re.compile(r"/[a-z]+/([0-9a-f-]{36})")


class _AuditEntry:
    """Writes a request's audit entry, with the response status, before the response leaves."""

    def __init__(self, request: Request, rule: Rule, principal: Principal, send: Send) -> None:
        self._request, self._rule, self._principal, self._send = request, rule, principal, send
        self._written = False

    async def send(self, message: Message) -> None:
        """Write the entry, then forward the message."""
        if message["type"] == "http.response.start":
            await self.write(message["status"], Headers(raw=message.get("headers", [])).get("location", ""))
        await self._send(message)

    async def write(self, status: int, location: str = "") -> None:
        """Write the entry, once. location: the Location header of a created resource."""
        if self._written:
            return
        self._written = True
        request, scope = self._request, self._request.scope
        created = _CREATED.fullmatch(location) if holds_jobs(scope["path"].strip("/")) else None
        job_id = UUID(created.group(1)) if created else job_id_of(self._rule.owned)
        path = (scope.get("raw_path") or b"").decode("ascii", "replace")
        await request.app.state.audit.note(self._principal, request.method, path, status, job_id)

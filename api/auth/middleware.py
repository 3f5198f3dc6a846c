"""The one door: every request is known, allowed, counted and noted here, before its body is read."""

from __future__ import annotations

import hmac
import re
from uuid import UUID

import structlog
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.auth.ownership import check_owner, job_id_of
from api.auth.permissions import JOBS, SAFE_METHODS, Rule, rule_for
from api.auth.principal import LOCAL, Principal, acting
from api.auth.quotas import Meters, with_defaults
from api.auth.service import limits_of
from api.auth.sessions import COOKIE
from api.db.models import Key
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
    """401 for who is not known, 403 for who may not, 429 for too much; everybody else is passed on with a name."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._defaults, self._meters = settings.key_limits, Meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
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
        # Not only for what is inside: the line that the request leaves in the log says it, too.
        bind_contextvars(**_named(principal))
        with acting(principal):
            await self._pass(request, rule, principal, receive, send)

    async def _pass(self, request: Request, rule: Rule, principal: Principal, receive: Receive, send: Send) -> None:
        """On to the routes, or refused; either way noted when the request could change something."""
        noted: _Noted | None = None
        # What workers report stands in the jobs' own logs, many times a minute.
        if request.method not in SAFE_METHODS and rule.role is not Role.WORKER:
            noted = _Noted(request, rule, principal, send)
            send = noted.send
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
            # Answered with 500 further out: it may have changed something all the same.
            if noted is not None:
                await noted.write(500)
            raise

    async def _identify(self, request: Request, rule: Rule) -> Principal:
        """The request's principal. Raises 401 without one."""
        given = _given(request.headers)
        if given is not None:
            return await self._of_key(request, given)
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and (found := await request.app.state.sessions.find(cookie)) is not None:
            session, key = found
            return self._principal(key, session_id=session.id, expires_at=session.expires_at)
        if rule.role is Role.WORKER:
            raise _unknown("this is for workers: send the worker key as `Authorization: Bearer <key>`")
        if not self._settings.require_keys:
            return LOCAL
        raise _unknown("the session has ended: log in again" if cookie is not None else f"a key is needed: {_HOW}")

    async def _of_key(self, request: Request, given: str) -> Principal:
        shared = self._settings.worker_key
        if shared is not None and hmac.compare_digest(given.encode(), shared.get_secret_value().encode()):
            return Principal(Role.WORKER)
        key = await request.app.state.keys.find(given)
        if key is None:
            extra = "" if self._settings.require_keys else "; this service needs none from its users: leave it out"
            raise _unknown(f"no such key{extra}")
        if key.revoked_at is not None:
            _log.warning("revoked_key", key=str(key.id), owner=key.owner, path=request.url.path)
            raise _unknown(f"this key was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC: ask an admin for another")
        return self._principal(key)

    def _principal(self, key: Key, **session: object) -> Principal:
        limits = with_defaults(limits_of(key), self._defaults)
        return Principal(Role(key.role), key.owner, key.id, limits, **session)  # type: ignore[arg-type]

    def _metered(self, request: Request, principal: Principal, receive: Receive) -> Receive:
        """The body, counted against the day's bytes: all at once where its length is announced."""
        length = request.headers.get("content-length", "")
        if length.isdecimal():
            self._meters.upload(principal, int(length))
            return receive

        read = 0
        refusal: ProblemError | None = None

        async def counted() -> Message:
            nonlocal read, refusal
            if refusal is not None:
                # Who reads on to let the sender finish must not wait for what may have been the last piece.
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
        answer = problems.answer_to(error, request.url.path)
        if answer is None:
            raise error
        if isinstance(error, ProblemError):
            _log.info("refused", method=request.method, path=request.url.path, status=error.status)
        await answer(request.scope, receive, send)


def _given(headers: Headers) -> str | None:
    """The key in the Authorization header. A scheme other than Bearer is not ours; a proxy may use it."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    return headers.get("x-api-key")


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers=_CHALLENGE)


def _check_role(rule: Rule, principal: Principal) -> None:
    if rule.role is not None and not rule.allows(principal.role):
        raise ProblemError(403, f"this needs a key of the role {rule.role}, this one's is {principal.role}")


def _check_origin(headers: Headers) -> None:
    """A page elsewhere must not use a browser's session: not even one that the browser should have kept back."""
    if not has_own_origin(headers):
        raise ProblemError(403, "with a session's cookie, requests that change something must come from this site")


def _named(principal: Principal) -> dict[str, str]:
    """What log lines say of the caller: the key's id, never the key."""
    if principal.key_id is None:
        return {}
    return {"key": str(principal.key_id), "owner": principal.owner or ""}


_MADE = re.compile(r"/[a-z]+/([0-9a-f-]{36})")


class _Noted:
    """Writes a request's entry into the audit log, before its answer leaves: what was answered is in it."""

    def __init__(self, request: Request, rule: Rule, principal: Principal, send: Send) -> None:
        self._request, self._rule, self._principal, self._send = request, rule, principal, send
        self._written = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, behind the entry."""
        if message["type"] == "http.response.start":
            await self.write(message["status"], Headers(raw=message.get("headers", [])).get("location", ""))
        await self._send(message)

    async def write(self, status: int, location: str = "") -> None:
        """The entry, once. location: of what the request has made."""
        if self._written:
            return
        self._written = True
        request, scope = self._request, self._request.scope
        made = _MADE.fullmatch(location) if scope["path"].strip("/") in JOBS else None
        job_id = UUID(made.group(1)) if made else job_id_of(self._rule.owned)
        path = (scope.get("raw_path") or b"").decode("ascii", "replace")
        await request.app.state.audit.note(self._principal, request.method, path, status, job_id)

"""Opens and closes browser sessions: a browser exchanges its key for a cookie, since EventSource cannot send
headers.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.principal import Principal
from api.auth.sessions import COOKIE, NewSession
from api.deps import Caller, Config, Sessions
from api.http.problems import ProblemError
from api.schemas.keys import SessionOut
from api.settings import Settings

router = APIRouter(prefix="/session", tags=["session"])


@router.post("", status_code=201)
async def open_session(
    caller: Caller, settings: Config, sessions: Sessions, request: Request, response: Response
) -> SessionOut:
    """Exchange the key in the request header for an HttpOnly cookie."""
    if caller.key_id is None or caller.session_id is not None:
        raise ProblemError(401, "send the key, as `Authorization: Bearer <key>` or `X-API-Key: <key>`")
    opened = await sessions.open(caller.key_id)
    # Without TLS, as on loopback, browsers do not return a secure cookie.
    set_session_cookie(response, opened, settings, secure=request.url.scheme == "https")
    return _session_out(caller, settings).model_copy(update={"expires_at": opened.expires_at})


@router.get("")
async def get_session(caller: Caller, settings: Config) -> SessionOut:
    """The caller's role and owner, and whether the service requires keys."""
    return _session_out(caller, settings)


@router.delete("", status_code=204)
async def close_session(caller: Caller, sessions: Sessions, response: Response) -> None:
    """Log out."""
    if caller.session_id is not None:
        await sessions.close(caller.session_id)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def set_session_cookie(response: Response, opened: NewSession, settings: Settings, *, secure: bool) -> None:
    response.set_cookie(
        COOKIE, opened.token, max_age=int(settings.session_seconds), httponly=True, samesite="strict", secure=secure
    )
    response.headers["Cache-Control"] = "no-store"


def _session_out(caller: Principal, settings: Settings) -> SessionOut:
    return SessionOut(
        role=caller.role,
        owner=caller.owner,
        person=caller.person,
        key_id=caller.key_id,
        expires_at=caller.expires_at,
        keys_required=settings.require_keys,
    )

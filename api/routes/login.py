"""Logs browsers in and out at the identity provider. Errors are pages: people see them."""

from __future__ import annotations

import hmac
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.auth.login_attempt import COOKIE, SECONDS, LoginAttempt
from api.auth.quotas import Bucket, too_many
from api.auth.sessions import COOKIE as SESSION
from api.deps import Config, DashboardFiles, People, Sessions
from api.http.problems import ProblemError
from api.routes.session import set_session_cookie

if TYPE_CHECKING:
    from api.auth.identity_provider import IdentityProvider

router = APIRouter(prefix="/session", include_in_schema=False)

_LONGEST_CODE: Final = 4096
# Each return makes the service ask the provider, and anyone can fake one.
_returns = Bucket(capacity=200, rate=20)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Not logged in · Dartboard</title>
    <link rel="stylesheet" href="{styles}">
  </head>
  <body>
    <main>
      <div class="panel stack narrow">
        <h1>Not logged in</h1>
        <p class="problem" role="alert">{detail}</p>
        <p><a class="button" href="/">Back</a></p>
      </div>
    </main>
  </body>
</html>
"""


@router.get("/login")
async def start_login(request: Request, settings: Config, files: DashboardFiles, place: str = "") -> Response:
    """Send the browser to the provider. place: the part of the page, from `#/` on, to which it returns."""
    attempt = LoginAttempt.new(place)
    try:
        url = await _provider(request).authorization_url(attempt)
    except ProblemError as problem:
        return _page(problem, files.styles)
    response = RedirectResponse(url, 303, _HEADERS)
    # Lax: the browser comes back from another site.
    response.set_cookie(
        COOKIE,
        attempt.cookie,
        max_age=SECONDS,
        path="/session",
        httponly=True,
        samesite="lax",
        secure=settings.public_url.startswith("https:"),
    )
    return response


@router.get("/callback")
async def end_login(
    request: Request, settings: Config, people: People, sessions: Sessions, files: DashboardFiles
) -> Response:
    """Take the provider's answer, open a session and show the page again."""
    response: Response
    try:
        provider = _provider(request)
        attempt, code = _answer(request, provider.settings.label, provider.settings.issuer)
        if wait := _returns.take(1):
            raise too_many("login", "too many logins at once", wait)
        person = await provider.redeem(attempt, code)
        if (old := request.cookies.get(SESSION)) and (found := await sessions.find(old)) is not None:
            await sessions.close(found[0].id)
        opened = await sessions.open(await people.login(person))
        response = RedirectResponse(f"/{attempt.place}", 303, _HEADERS)
        set_session_cookie(response, opened, settings, secure=settings.public_url.startswith("https:"))
    except ProblemError as problem:
        response = _page(problem, files.styles)
    response.delete_cookie(COOKIE, path="/session", httponly=True, samesite="lax")
    return response


@router.get("/logout")
async def leave_provider(request: Request, files: DashboardFiles) -> Response:
    """Send the browser to the provider's logout, if it has one. `DELETE /session` has ended the session here."""
    try:
        url = await _provider(request).logout_url()
    except ProblemError as problem:
        return _page(problem, files.styles)
    return RedirectResponse(url or "/", 303, _HEADERS)


def _provider(request: Request) -> IdentityProvider:
    provider: IdentityProvider | None = request.app.state.identity_provider
    if provider is None:
        raise ProblemError(404, "this service has no identity provider: log in with a key")
    return provider


def _answer(request: Request, name: str, issuer: str) -> tuple[LoginAttempt, str]:
    """The browser's attempt and the code for it. Raises ProblemError for what did not begin in this browser."""
    given = request.query_params
    attempt = LoginAttempt.of_cookie(request.cookies.get(COOKIE, ""))
    if attempt is None:
        raise ProblemError(
            400, f"this browser has begun no login within the last {SECONDS // 60} minutes: sign in again"
        )
    if not hmac.compare_digest(given.get("state", "").encode(), attempt.state.encode()):
        raise ProblemError(400, "this is the answer to another login than this browser's last: sign in again")
    if given.get("iss", issuer) != issuer:  # RFC 9207
        raise ProblemError(400, f"the answer is not from {name}: sign in again")
    if error := given.get("error"):
        about = given.get("error_description") or error
        raise ProblemError(403, f"{name} has not confirmed the login ({about[:300]}): sign in again")
    code = given.get("code", "")
    if not 0 < len(code) <= _LONGEST_CODE:
        raise ProblemError(400, f"the answer of {name} has no code: sign in again")
    return attempt, code


def _page(problem: ProblemError, styles: str) -> HTMLResponse:
    content = _PAGE.format(styles=escape(styles), detail=escape(problem.detail))
    status = HTTPStatus(problem.status)
    return HTMLResponse(content, status, {**_HEADERS, **(problem.headers or {})})

"""Signs in to the web page with a key, and signs out."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from app.access import keys
from app.access.audit import record
from app.api.access import COOKIE, PageSession, client_of
from app.api.html import render
from app.api.limits.received_body import received_bytes
from app.api.service import Service, ServiceDep
from app.errors import LimitExceeded, TooManyRequests, Unauthorized

FORM_LIMIT_BYTES = 4096

router = APIRouter(include_in_schema=False)


@router.post("/session")
async def sign_in(request: Request, service: ServiceDep) -> Response:
    """Opens a session with the key of the form, and sets its cookie."""
    key = await _key_of_form(request, service)
    try:
        page_session = await run_in_threadpool(_open, service, key, client_of(request))
    except TooManyRequests as error:
        return _page(error.detail, error.status, error.headers)
    if page_session is None:
        return sign_in_page("The key is unknown, expired or revoked.")
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        page_session,
        max_age=int(keys.SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/session/end")
async def sign_out(request: Request, service: ServiceDep, page_session: PageSession) -> Response:
    """Ends the session. It needs no scope, since a key with any scope can sign in."""
    if page_session is not None:
        await run_in_threadpool(_close, service, page_session, client_of(request))
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def sign_in_page(message: str = "") -> Response:
    """`message`: why the key was refused."""
    return _page(message, 401, {"WWW-Authenticate": "Bearer"})


def _page(message: str, status: int, headers: Mapping[str, str]) -> Response:
    page = render("sign_in.html", status_code=status, message=message)
    page.headers.update(headers)
    return page


async def _key_of_form(request: Request, service: Service) -> str:
    """Raises: LimitExceeded, BodyTimeout."""
    too_large = LimitExceeded(f"The form has more than {FORM_LIMIT_BYTES} bytes.")
    body = await received_bytes(request, service.settings, too_large, FORM_LIMIT_BYTES)
    return parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip()


def _open(service: Service, key: str, client: str) -> str | None:
    """The key of a new session; None if the key is not valid. Raises: TooManyRequests."""
    try:
        principal = service.authentication.find(key, client)
    except Unauthorized:
        return None
    if principal.key_id is not None:
        service.request_rate.count(principal.owner)
    with service.sessions.begin() as session:
        page_session = keys.open_session(session, key)
    if page_session is not None:
        record("signed in", principal)
    return page_session


def _close(service: Service, page_session: str, client: str) -> None:
    """Raises: TooManyRequests."""
    with suppress(Unauthorized):
        principal = service.authentication.find(page_session, client)
        with service.sessions.begin() as session:
            is_closed = keys.close_session(session, page_session)
        service.authentication.forget(page_session)
        if is_closed:
            record("signed out", principal)

"""Who sends a request: the key in its header, or the session of the page in its cookie."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from app.access.principal import Principal
from app.api.origin import SAFE_METHODS
from app.api.service import ServiceDep
from app.errors import Forbidden, Unauthorized
from app.tables import KeyScope

COOKIE = "layerscope_session"

BEARER = HTTPBearer(auto_error=False, description="A key. As long as no key exists, none is needed.")
PAGE_SESSION = APIKeyCookie(name=COOKIE, auto_error=False, description="A session of the web page.")


PageSession = Annotated[str | None, Depends(PAGE_SESSION)]


async def key_of(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)], page_session: PageSession
) -> str | None:
    return bearer.credentials if bearer is not None else page_session


Key = Annotated[str | None, Depends(key_of)]


def client_of(request: Request) -> str:
    """The address of the client; for IPv6 the network with the first 64 bits, which one client may have."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:  # what a proxy says, or a socket without addresses
        return "a client without an address"
    address = getattr(address, "ipv4_mapped", None) or address  # as a proxy for both versions writes it
    return str(ip_network((address, 64), strict=False) if isinstance(address, IPv6Address) else address)


async def principal_of(request: Request, service: ServiceDep, key: Key) -> Principal:
    """Raises: Unauthorized, TooManyRequests, Forbidden."""
    principal = service.authentication.remembered(key)
    if principal is None:
        principal = await run_in_threadpool(service.authentication.find, key, client_of(request))
    if principal.key_id is not None:
        bind_contextvars(owner=principal.owner, key=str(principal.key_id))
        await to_thread.run_sync(service.request_rate.count, principal.owner, limiter=service.asking_redis)
    needed = KeyScope.READ if request.method in SAFE_METHODS else KeyScope.WRITE
    if not principal.may(needed):
        raise Forbidden(
            f"This request needs a key with the scope {needed}; this key has the scope {principal.scope}."
        )
    return principal


async def visitor_of(request: Request, service: ServiceDep, key: Key) -> Principal | None:
    """None if the visitor of a page has to sign in first."""
    try:
        return await principal_of(request, service, key)
    except Unauthorized:
        return None


PrincipalDep = Annotated[Principal, Depends(principal_of)]
VisitorDep = Annotated[Principal | None, Depends(visitor_of)]

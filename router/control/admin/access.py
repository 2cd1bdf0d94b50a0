"""Who may call the admin API, and from where. Floor 4.

With tokens configured, every call but the probes names one: a viewer may read, an operator may act. A browser
sends no such header by itself, so a foreign page can do nothing.

Without tokens the API listens on loopback only. A page in the operator's own browser could still reach it, by
name (DNS rebinding) or by a form (CSRF). So the Host has to be this machine's loopback, and a call that acts
must not come from another origin.
"""

import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from router.config.schema import AdminToken
from router.errors import Refused

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that need no token and no particular Host: probes come by address."""

_READING = frozenset({"GET", "HEAD"})
LOCAL = "local"
"""Who acted, where no tokens are configured."""


def authorize(request: web.Request, tokens: tuple[AdminToken, ...], listen: str) -> str:
    """The name of the one who calls. `listen` is the address bound.

    Raises Refused: 401 without a valid token, 403 for whoever may not do this.
    """
    if request.path in OPEN:
        return ""
    if tokens:
        return _by_token(request, tokens)
    if not is_loopback(_hostname(listen)):
        # The address bound outlives an edit that took the tokens away.
        raise Refused(
            401, f"no tokens are configured, and the API still listens on {listen}: restart the router"
        )
    _from_here(request)
    return LOCAL


def role_of(name: str, tokens: tuple[AdminToken, ...]) -> str:
    """What the one whom `authorize` named may do: operator or viewer."""
    return next((token.role for token in tokens if token.name == name), "operator")


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _by_token(request: web.Request, tokens: tuple[AdminToken, ...]) -> str:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise Refused(401, "this needs a token: send the header Authorization: Bearer TOKEN")
    # As the bytes that came: a header need not be valid UTF-8.
    secret = given.strip().encode(errors="surrogateescape")
    found: AdminToken | None = None
    for token in tokens:
        if hmac.compare_digest(token.token.encode(), secret):
            found = token
    if found is None:
        raise Refused(401, "this token is not known")
    if found.role != "operator" and request.method not in _READING:
        raise Refused(403, f"{found.name} is a viewer and may only read; this needs an operator")
    return found.name


def _from_here(request: web.Request) -> None:
    if not is_loopback(_hostname(request.host)):
        raise Refused(
            403, f"without tokens the API answers to localhost only, not to the host {request.host!r}"
        )
    origin = request.headers.get("Origin")
    if request.method not in _READING and origin is not None and urlsplit(origin).netloc != request.host:
        raise Refused(403, f"a page of {origin} may not act here")


def _hostname(host: str) -> str:
    """The name or address in a Host header, lower-case, without port and brackets; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""

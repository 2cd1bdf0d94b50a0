"""What calls of the admin API say and how they are answered: values read from requests, JSON made of values. Floor 4.

What is not as it should be raises Refused (400, 408), which names the field and the value.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from router.control.admin.problems import Handler
from router.errors import Refused

API = "/api/v1"
ONE = f"{API}/deployments/{{name}}"
"""Where a deployment is; `name_in` reads the name."""

MAX_LIMIT = 1000

BODY_TIME = 10.0
"""Seconds in which a body has come."""

Route = tuple[str, str, Handler]
"""Method, path, handler."""

Aside = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments where it may take long: in a thread."""

WHO = web.RequestKey("who", str)
"""The name of the one who calls; empty where nobody had to say."""

_B = TypeVar("_B", bound=msgspec.Struct)
_UNIX_TIME = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_TAG = re.compile(r'"?(\d{1,15})"?')

encode = msgspec.json.encode


def name_in(request: web.Request) -> str:
    """The deployment that the path names; empty where it names none."""
    return request.match_info.get("name", "")


async def body_of(request: web.Request, kind: type[_B]) -> _B:
    """The body, of which every field is known; no body is an empty one."""
    try:
        async with asyncio.timeout(BODY_TIME):
            body = await request.read()
        return msgspec.json.decode(body or b"{}", type=kind)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {BODY_TIME:g} s") from None
    except msgspec.DecodeError as error:
        raise Refused(400, f"the body is not right: {error}") from None


def seen_by(request: web.Request) -> int | None:
    """The generation that `If-Match` names; None where any will do."""
    if_match = request.headers.get("If-Match")
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise Refused(
            400, f"If-Match: {if_match!r} is no generation: send one as it stands in ETag or `generation`"
        )
    return int(found[1])


def limit_in(request: web.Request, default: int) -> int:
    """How many the caller wants at most."""
    return number("limit", request.query.get("limit", str(default)), MAX_LIMIT)


def since_in(request: web.Request) -> float:
    """The Unix time from which on the caller wants to be told; 0 where nothing is said."""
    text = request.query.get("since", "0")
    if not _UNIX_TIME.fullmatch(text):
        raise Refused(400, f"since: {text!r} is no Unix time in seconds")
    return float(text)


def number(name: str, text: str, most: int) -> int:
    """A whole number from 1 to `most`; `name` is what a refusal calls it."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise Refused(400, f"{name}: {text!r} is no number from 1 to {most}")
    return int(text)


def json_of(data: Any) -> web.Response:
    """The answer that says this."""
    return web.Response(body=encode(data), content_type="application/json")


def tagged(answer: web.Response, generation: int) -> web.Response:
    """The same answer, with the generation that the next command may name in `If-Match`."""
    answer.headers["ETag"] = f'"{generation}"'
    return answer

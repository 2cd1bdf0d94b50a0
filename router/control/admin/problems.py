"""Every error of the admin API as problem+json (RFC 9457), made in one place. Floor 4."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from router.errors import ConfigError, Refused
from router.rollout.journal import JournalError

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Runs the handler; whatever it raises becomes an answer."""
    try:
        return await handler(request)
    except Refused as refused:
        more = {"phase": refused.phase} if refused.phase else {}
        return problem(refused.status, refused.detail, **more, **_known(refused.known))
    except ConfigError as error:
        return problem(400, str(error), problems=[asdict(each) for each in error.problems])
    except JournalError as error:
        return problem(503, f"nothing was changed: {error}")
    except web.HTTPException as error:
        return _of_aiohttp(error)
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return problem(500, "the router made a mistake; its log says which")


def problem(status: int, detail: str, **more: Any) -> web.Response:
    """One problem: its status, one sentence, and what else helps."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    answer = web.Response(
        status=status, body=msgspec.json.encode({**body, **more}), content_type="application/problem+json"
    )
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def conceal(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's log: of what is no HTTP it quotes the bytes, and those may be a token."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "%s: it is no HTTP, refused with %d", (record.getMessage(), error.code)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True


def _known(known: tuple[str, ...]) -> dict[str, list[str]]:
    return {"known": list(known)} if known else {}


def _of_aiohttp(error: web.HTTPException) -> web.Response:
    if error.status == HTTPStatus.NOT_FOUND:
        return problem(404, "no such path: GET /api/v1/openapi.json lists what there is")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        answer = problem(405, f"{error.method} is not possible here: {allowed} is")
        answer.headers["Allow"] = allowed
        return answer
    return problem(error.status, error.text or error.reason)

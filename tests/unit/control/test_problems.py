"""Each kind of error, as the answer it becomes."""

import logging
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.test_utils import make_mocked_request

from router.control.admin.problems import conceal, problem, problems
from router.errors import ConfigError, Problem, Refused
from router.rollout.journal import JournalError


async def answer_to(error: Exception) -> tuple[web.Response, dict[str, Any]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise error

    answer = await problems(make_mocked_request("GET", "/"), handler)
    assert isinstance(answer, web.Response)
    assert answer.content_type == "application/problem+json"
    assert isinstance(answer.body, bytes)
    body = msgspec.json.decode(answer.body)
    assert body["status"] == answer.status
    return answer, body


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (Refused(400, "wrong"), 400, "wrong"),
        (Refused(503, "not yet"), 503, "not yet"),
        (Refused(403, "no"), 403, "no"),
        (JournalError("full"), 503, "nothing was changed: full"),
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 413, "Maximum request body size"),
        (web.HTTPNotFound(), 404, "openapi.json"),
        (ZeroDivisionError("inner"), 500, "its log says which"),
    ],
)
async def test_an_error_becomes_a_problem(error: Exception, status: int, says: str) -> None:
    _, body = await answer_to(error)
    assert body["status"] == status
    assert says in body["detail"]
    assert "inner" not in body["detail"]
    assert set(body) == {"type", "title", "status", "detail"}


async def test_phase_and_known_names_are_told_where_they_help() -> None:
    _, body = await answer_to(Refused(409, "no", phase="paused", known=("a", "b")))
    assert (body["phase"], body["known"], body["title"]) == ("paused", ["a", "b"], "Conflict")


async def test_401_says_what_is_wanted() -> None:
    answer, _ = await answer_to(Refused(401, "who?"))
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_405_says_what_is_allowed() -> None:
    answer, body = await answer_to(web.HTTPMethodNotAllowed("GET", ["POST"]))
    assert (answer.headers["Allow"], body["detail"]) == ("POST", "GET is not possible here: POST is")


async def test_every_problem_of_a_configuration_is_told() -> None:
    error = ConfigError([Problem("a.yaml", 1, "x", "one"), Problem("a.yaml", 2, "y", "two")])
    _, body = await answer_to(error)
    assert [(each["line"], each["rule"]) for each in body["problems"]] == [(1, "one"), (2, "two")]


def test_more_can_be_told() -> None:
    body = problem(400, "wrong", where="here").body
    assert isinstance(body, bytes)
    assert msgspec.json.decode(body)["where"] == "here"


def test_what_is_no_http_is_reported_without_its_bytes() -> None:
    error = BadHttpMessage("Invalid header value char: b'authorization: Bearer secret'")
    record = logging.LogRecord(
        "http", logging.ERROR, "", 0, "Error from %s", ("::1",), (type(error), error, None)
    )
    assert conceal(record)
    assert record.getMessage() == "Error from ::1: it is no HTTP, refused with 400"
    assert (record.exc_info, record.levelno) == (None, logging.WARNING)


def test_other_errors_are_reported_whole() -> None:
    error = KeyError("a mistake of ours")
    record = logging.LogRecord("http", logging.ERROR, "", 0, "Error", None, (type(error), error, None))
    assert conceal(record)
    assert record.exc_info is not None

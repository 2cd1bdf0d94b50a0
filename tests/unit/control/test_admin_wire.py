"""What callers get wrong is said to be, with its name."""

import asyncio
from typing import Any

import pytest

from router.control.admin import wire
from tests.support.admin import Api


@pytest.mark.parametrize(
    ("command", "body", "says"),
    [
        ("share", {"candidate": 1.5}, "between 0% and 100%"),
        ("share", {"candidate": "a lot"}, "between 0% and 100%"),
        ("share", {"candidate": True}, "candidate"),
        ("share", {}, "candidate"),
        ("share", None, "candidate"),
        ("share", b"{", "the body is not right"),
        ("share", b"\xff", "the body is not right"),
        ("rollback", {"raison": "x"}, "raison"),
        ("rollback", {"reason": 7}, "reason"),
        ("rollback", {"reason": "x" * 501}, "500"),
        ("rollback", [], "array"),
        ("switch", {"to": 3}, "to"),
    ],
)
async def test_a_wrong_body_is_said_to_be_and_changes_nothing(
    api: Api, command: str, body: Any, says: str
) -> None:
    before = api.controller.generation
    status, problem = await api.call("POST", f"deployments/loan/{command}", body)
    assert status == 400
    assert says in problem["detail"]
    assert api.controller.generation == before


async def test_a_body_that_does_not_come_is_not_waited_for_long(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BODY_TIME", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port)
    writer.write(
        b"POST /api/v1/deployments/loan/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
    )
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"408"
    writer.close()
    assert api.controller.deployment("loan").state.phase.value == "progressing"


async def test_the_generation_shown_will_do_as_well(api: Api) -> None:
    for form in ("{}", '"{}"', "*"):
        await api.post("deployments/fraud/restart")
        shown = (await api.get("deployments/loan"))["generation"]
        if_match = form.format(shown)
        assert (await api.call("POST", "deployments/loan/restart", **{"If-Match": if_match}))[0] == 200


@pytest.mark.parametrize("if_match", ["", 'W/"1"', '"a"', "1, 2", "-1", "9" * 40])
async def test_what_is_no_generation_is_400(api: Api, if_match: str) -> None:
    status, problem = await api.call("POST", "deployments/loan/pause", **{"If-Match": if_match})
    assert (status, "If-Match" in problem["detail"]) == (400, True)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "1.5", "9" * 30])
async def test_a_wrong_limit_is_refused(api: Api, limit: str) -> None:
    assert (await api.call("GET", f"deployments/loan/history?limit={limit}"))[0] == 400


@pytest.mark.parametrize("since", ["yesterday", "-1", "1e9", "nan", "\u0661"])
async def test_what_is_no_moment_is_400(api: Api, since: str) -> None:
    assert (await api.call("GET", f"deployments/loan/trends?since={since}"))[0] == 400

"""The admin API as a whole, over real sockets: who may call, and what no handler sees."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from router.control.admin import events
from router.control.admin.app import MAX_BODY
from router.control.admin.openapi import document
from tests.support.admin import OPERATOR, VIEWER, Api, config_of, running


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(api: Api) -> None:
    assert (await api.call("GET", "nothing"))[0] == 404
    status, problem = await api.call("GET", "deployments/loan/rollback")
    assert (status, "POST" in problem["detail"]) == (405, True)


async def test_a_body_without_bounds_is_refused(api: Api) -> None:
    status, _ = await api.call("POST", "deployments/loan/rollback", b" " * (MAX_BODY + 1))
    assert status == 413


async def test_an_operator_acts_under_its_name_and_a_viewer_only_looks(guarded: Api) -> None:
    assert (await guarded.call("GET", "deployments", token=VIEWER))[0] == 200
    status, problem = await guarded.call("POST", "deployments/loan/rollback", token=VIEWER)
    assert (status, "viewer" in problem["detail"]) == (403, True)
    assert (await guarded.call("POST", "deployments/loan/rollback", token=OPERATOR))[0] == 200
    _, shown = await guarded.call("GET", "deployments/loan", token=VIEWER)
    assert shown["changed"]["who"] == "ci"


@pytest.mark.parametrize("path", ["deployments", "/metrics", "nothing", "openapi.json", "events"])
@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", f"Basic {OPERATOR}", f"Bearer {OPERATOR}x", "Bearer ü"]
)
async def test_without_a_known_token_nothing_is_told(guarded: Api, path: str, authorization: str) -> None:
    status, _ = await guarded.call("GET", path, Authorization=authorization)
    assert status == 401


CALLS = [
    (method.upper(), path.replace("{name}", "loan").replace("{number}", "1"), call)
    for path, calls in document()["paths"].items()
    for method, call in calls.items()
]


@pytest.mark.parametrize(
    ("method", "path", "call"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS]
)
async def test_every_call_there_is_asks_for_a_token_and_those_that_act_for_an_operators(
    guarded: Api, method: str, path: str, call: dict[str, Any]
) -> None:
    generation = guarded.controller.generation
    without, _ = await guarded.call(method, path, body=b"{}" if method == "POST" else None)
    wrong, _ = await guarded.call(method, path, body=b"no JSON", token="wrong-secret")
    assert [without, wrong] == ([200, 200] if call.get("security") == [] else [401, 401])
    if method == "POST":
        assert (await guarded.call(method, path, body=b"{}", token=VIEWER))[0] == 403
    elif path != events.EVENTS:  # that one never ends
        assert (await guarded.call(method, path, token=VIEWER))[0] in (200, 404)
    assert guarded.controller.generation == generation
    assert (guarded.replacements, guarded.levels, guarded.orders) == (0, [], [])


async def test_a_token_need_not_be_text(guarded: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.server.port)
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await writer.wait_closed()


async def test_probes_need_no_token_and_metrics_take_a_viewers(guarded: Api) -> None:
    assert (await guarded.call("GET", "/healthz"))[0] == 200
    assert (await guarded.call("GET", "/readyz", Host="10.0.0.7:8081"))[0] == 200
    assert (await guarded.call("GET", "/metrics", token=VIEWER))[0] == 200


async def test_edited_tokens_count_from_then_on(guarded: Api, tmp_path: Path) -> None:
    guarded.config = config_of(tmp_path, [{"name": "new", "token": "another-secret", "role": "operator"}])
    await guarded.reload()
    assert (await guarded.call("GET", "deployments", token=OPERATOR))[0] == 401
    assert (await guarded.call("GET", "deployments", token="another-secret"))[0] == 200


async def test_with_tokens_any_host_will_do(guarded: Api) -> None:
    status, _ = await guarded.call("GET", "deployments", token=VIEWER, Host="router.example.com")
    assert status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1", "["]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_tokens_a_rebound_name_gets_nothing(api: Api, method: str, host: str) -> None:
    path = "deployments" if method == "GET" else "deployments/loan/rollback"
    assert (await api.call(method, path, Host=host))[0] in (400, 403)
    assert api.controller.deployment("loan").state.phase.value == "progressing"


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "127.1.2.3:80", "[::1]:8081", "LOCALHOST"])
async def test_without_tokens_this_machine_may_call(api: Api, host: str) -> None:
    assert (await api.call("GET", "deployments", Host=host))[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "file://"])
async def test_without_tokens_a_foreign_page_may_not_act(api: Api, origin: str) -> None:
    status, _ = await api.call("POST", "deployments/loan/rollback", Host="localhost:8081", Origin=origin)
    assert status == 403
    assert api.controller.deployment("loan").state.phase.value == "progressing"


async def test_the_routers_own_page_may_act(api: Api) -> None:
    status, _ = await api.call(
        "POST", "deployments/loan/rollback", Host="localhost:8081", Origin="http://localhost:8081"
    )
    assert status == 200


async def test_tokens_taken_away_do_not_open_a_door_to_the_outside(tmp_path: Path) -> None:
    async with running(tmp_path, [], listen="0.0.0.0:8081") as api:
        assert (await api.call("GET", "deployments"))[0] == 401
        assert (await api.call("GET", "/healthz"))[0] == 200


async def test_a_mistake_of_our_own_is_500_and_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret inner workings")

    monkeypatch.setattr(api.controller, "deployments", broken)
    status, problem = await api.call("GET", "deployments")
    assert (status, "secret" in json.dumps(problem)) == (500, False)
    assert "secret inner workings" in caplog.text


async def test_the_page_needs_no_token_and_the_data_behind_it_does(guarded: Api) -> None:
    status, page = await guarded.call("GET", "/")
    assert status == 200
    assert "/page/main.js" in page
    assert (await guarded.call("GET", "/page/main.js"))[0] == 200
    assert (await guarded.call("GET", "/api/v1/trends"))[0] == 401
    assert (await guarded.call("POST", "/"))[0] == 401

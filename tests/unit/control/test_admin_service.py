"""Probes, metrics, configuration, workers and log level over real sockets."""

import json

import pytest

from router import logs
from router.errors import ConfigError, Problem
from tests.support.admin import OPERATOR, VIEWER, Api


async def test_the_configuration_is_shown_without_its_secrets(guarded: Api) -> None:
    _, shown = await guarded.call("GET", "config", token=VIEWER)
    assert shown["status"]["digest"] == "d1"
    assert shown["status"]["error"] is None
    assert [token["name"] for token in shown["config"]["admin"]["tokens"]] == ["ci", "wall"]
    for path in ("config", "deployments", "deployments/loan"):
        text = json.dumps((await guarded.call("GET", path, token=VIEWER))[1])
        assert OPERATOR not in text
        assert VIEWER not in text


async def test_reload_tells_what_is_in_force_or_what_is_wrong(api: Api) -> None:
    assert (await api.post("config/reload"))["digest"] == "d2"
    api.reload_error = ConfigError([Problem("router.yaml", 3, "deployments.loan", "is wrong")])
    status, problem = await api.call("POST", "config/reload")
    assert (status, problem["problems"][0]["line"]) == (400, 3)
    assert "is wrong" in (await api.get("config"))["status"]["error"]
    assert "is wrong" in (await api.get("deployments"))["deployments"][0]["config_error"]


async def test_probes_and_metrics(api: Api) -> None:
    assert await api.get("/healthz") == "ok\n"
    assert await api.get("/readyz") == "ready\n"
    assert await api.get("/metrics") == "metric 1\n"
    api.troubles = ("the recorder died; another starts in 5 s",)
    assert await api.get("/readyz") == "ready\nthe recorder died; another starts in 5 s\n", (
        "clients need none"
    )
    api.ready = False
    status, problem = await api.call("GET", "/readyz")
    assert (status, problem["detail"].endswith("in force yet; the recorder died; another starts in 5 s")) == (
        503,
        True,
    )
    assert (await api.call("HEAD", "/healthz"))[0] == 200


async def test_the_log_level_is_set_by_operators_only(guarded: Api) -> None:
    assert (await guarded.call("POST", "log-level", {"level": "debug"}, token=VIEWER))[0] == 403
    assert await guarded.call("GET", "log-level", token=VIEWER) == (200, {"level": logs.level()})
    assert await guarded.call("POST", "log-level", {"level": "debug"}, token=OPERATOR) == (
        200,
        {"level": "DEBUG"},
    )
    code, problem = await guarded.call("POST", "log-level", {"level": "loud"}, token=OPERATOR)
    assert (code, problem["known"]) == (400, list(logs.LEVELS))
    assert guarded.levels == ["DEBUG"]


async def test_who_had_the_configuration_read_again_is_in_the_log(
    guarded: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert (await guarded.call("POST", "config/reload", token=OPERATOR))[0] == 200
    assert "ci has the configuration read again" in caplog.messages


async def test_workers_are_replaced_for_operators_only(guarded: Api) -> None:
    path = "workers/replace"
    assert (await guarded.call("POST", path, token=VIEWER))[0] == 403
    assert guarded.replacements == 0
    assert await guarded.call("POST", path, token=OPERATOR) == (200, {"replaced": 2})
    assert guarded.replacements == 1


async def test_without_tokens_whoever_comes_may_act(api: Api) -> None:
    assert await api.get("me") == {"name": "local", "role": "operator"}


async def test_everyone_learns_who_they_are_and_what_they_may_do(guarded: Api) -> None:
    assert (await guarded.call("GET", "me", token=VIEWER))[1] == {"name": "wall", "role": "viewer"}
    assert (await guarded.call("GET", "me", token=OPERATOR))[1] == {"name": "ci", "role": "operator"}

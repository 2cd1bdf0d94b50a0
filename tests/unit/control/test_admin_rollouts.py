"""Commands and looks at deployments, over real sockets: what they do, and every way they are refused."""

import asyncio
from typing import Any

import pytest

from router.config.schema import Config
from router.control.admin.openapi import document
from tests.support.admin import CANARY, Api


async def test_a_rollback_answers_as_promised_and_twice_the_same(api: Api) -> None:
    for _ in range(2):
        answer = await api.post("deployments/loan/rollback", {"reason": "bad"})
        assert answer["applied_ms"] >= 0
        del answer["applied_ms"], answer["generation"]
        assert answer == {
            "deployment": "loan",
            "phase": "rolled_back",
            "shares": {"v1": 1.0, "v2": 0.0},
            "workers": {"live": 2, "confirmed": 2},
            "persisted": True,
            "warnings": [],
        }
    events = (await api.get("deployments/loan/history"))["events"]
    assert [(event["what"], event["who"], event["why"]) for event in events] == [
        ("rollback", "local", "bad"),
        ("start", "config", "first seen in the file"),
    ]


@pytest.mark.parametrize("body", [None, b"", {}, {"reason": "because"}])
async def test_a_command_needs_no_body(api: Api, body: Any) -> None:
    assert (await api.post("deployments/loan/rollback", body))["phase"] == "rolled_back"


async def test_every_command_reaches_the_rollout(api: Api) -> None:
    phases = [
        (await api.post(f"deployments/loan/{command}", body))["phase"]
        for command, body in [
            ("promote", None),
            ("resume", None),
            ("pause", None),
            ("share", {"candidate": 0.25}),
            ("rollback", None),
            ("restart", {"reason": "fixed"}),
        ]
    ]
    assert phases == ["paused", "progressing", "paused", "paused", "rolled_back", "progressing"]
    assert (await api.post("deployments/fraud/switch", {"to": "green"}))["shares"] == {"v1": 0.0, "v2": 1.0}


@pytest.mark.parametrize(("given", "share"), [(0.25, 0.25), ("25%", 0.25), (0, 0.0), ("0.5", 0.5), (1, 1.0)])
async def test_a_share_is_given_as_in_the_yaml(api: Api, given: Any, share: float) -> None:
    answer = await api.post("deployments/loan/share", {"candidate": given})
    assert answer["shares"]["v2"] == share


async def test_what_the_phase_forbids_is_409_with_the_phase(api: Api) -> None:
    status, problem = await api.call("POST", "deployments/loan/resume")
    assert (status, problem["phase"]) == (409, "progressing")
    assert "promote goes to the next step now" in problem["detail"]


async def test_an_unknown_colour_is_400_with_the_known(api: Api) -> None:
    status, problem = await api.call("POST", "deployments/fraud/switch", {"to": "red"})
    assert (status, problem["known"]) == (400, ["blue", "green"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/rollback"), ("GET", "/history"), ("GET", "/pairs"), ("GET", "/comparison")],
)
async def test_an_unknown_deployment_is_404_with_the_names_that_exist(
    api: Api, method: str, path: str
) -> None:
    status, problem = await api.call(method, f"deployments/lone{path}")
    assert (status, problem["known"]) == (404, ["fraud", "loan"])


async def test_on_a_full_disk_a_promote_is_503_and_a_rollback_works(api: Api) -> None:
    api.journal.full = True
    status, problem = await api.call("POST", "deployments/loan/promote")
    assert (status, problem["detail"]) == (503, "nothing was changed: the disk is full")
    assert (await api.post("deployments/loan/rollback"))["persisted"] is False
    api.journal.full = False


async def test_promote_full_is_100_percent_at_once(api: Api) -> None:
    answer = await api.post("deployments/loan/promote", {"full": True, "reason": "we know it"})
    assert (answer["phase"], answer["shares"]) == ("promoted", {"v1": 0.0, "v2": 1.0})


async def test_a_rollback_warns_when_it_leads_to_too_little_and_happens_all_the_same(api: Api) -> None:
    api.shortfalls = ("no endpoint of v1 is healthy",)
    answer = await api.post("deployments/loan/rollback")
    assert (answer["phase"], answer["warnings"]) == ("rolled_back", ["no endpoint of v1 is healthy"])


async def tag(api: Api, name: str = "loan") -> str:
    async with api.session.get(api.server.make_url(f"/api/v1/deployments/{name}")) as answer:
        return answer.headers["ETag"]


COMMANDS: list[tuple[str, Any]] = [
    ("rollback", None),
    ("promote", None),
    ("pause", None),
    ("restart", None),
    ("share", {"candidate": 0.3}),
]


@pytest.mark.parametrize(("command", "body"), COMMANDS)
async def test_the_late_one_of_two_is_412_and_changes_nothing(api: Api, command: str, body: Any) -> None:
    seen = await tag(api)
    early = await api.session.post(
        api.server.make_url("/api/v1/deployments/loan/share"),
        data=b'{"candidate": 0.2}',
        headers={"If-Match": seen},
    )
    assert early.status == 200
    before = api.controller.generation
    status, problem = await api.call("POST", f"deployments/loan/{command}", body, **{"If-Match": seen})
    assert (status, problem["phase"]) == (412, "paused")
    assert "look at it again" in problem["detail"]
    assert api.controller.generation == before
    # With what the answer to the first one said, it goes through.
    status, _ = await api.call(
        "POST", f"deployments/loan/{command}", body, **{"If-Match": early.headers["ETag"]}
    )
    assert status == 200


async def test_what_happens_to_another_deployment_makes_nobody_late(api: Api) -> None:
    seen = await tag(api)
    await api.post("deployments/fraud/switch", {"to": "green"})
    assert await tag(api) == seen
    assert (await api.call("POST", "deployments/loan/pause", **{"If-Match": seen}))[0] == 200


async def test_an_edit_makes_those_late_whose_deployment_it_touches(api: Api) -> None:
    loan, fraud = await tag(api), await tag(api, "fraud")
    raw = api.config.model_dump(mode="json", exclude_defaults=True)
    raw["deployments"]["loan"]["rollout"]["soak"] = "1h"
    raw["deployments"]["loan"]["rollout"]["steps"] = CANARY["steps"]
    raw["deployments"]["loan"]["match"] = {"path": "/loan"}
    api.config = Config.model_validate(raw)
    await api.post("config/reload")
    assert (await api.call("POST", "deployments/loan/pause", **{"If-Match": loan}))[0] == 412
    assert await tag(api, "fraud") == fraud


async def test_a_generation_that_never_was_is_412(api: Api) -> None:
    assert (await api.call("POST", "deployments/loan/pause", **{"If-Match": '"999"'}))[0] == 412


async def test_of_many_at_once_exactly_one_acts(api: Api) -> None:
    seen = await tag(api)

    async def share(parts: int) -> int:
        body = {"candidate": parts / 100}
        return (await api.call("POST", "deployments/loan/share", body, **{"If-Match": seen}))[0]

    statuses = await asyncio.gather(*(share(parts) for parts in range(1, 21)))
    assert sorted(statuses) == [200] + [412] * 19
    events = (await api.get("deployments/loan/history"))["events"]
    assert [event["what"] for event in events] == ["share", "start"]


async def test_many_at_once_without_a_condition_take_their_turns(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.post("deployments/loan/share", {"candidate": parts / 100}) for parts in range(1, 21))
    )
    generations = sorted(answer["generation"] for answer in answers)
    assert generations == list(range(generations[0], generations[0] + 20))
    events = (await api.get("deployments/loan/history"))["events"]
    newest = max(answers, key=lambda answer: answer["generation"])
    assert [event["generation"] for event in events[:20]] == generations[::-1]
    assert (await api.get("deployments/loan"))["shares"] == newest["shares"]


async def test_a_deployment_shows_what_is_wanted_and_where_it_is(api: Api) -> None:
    shown = await api.get("deployments/loan")
    assert (shown["name"], shown["pattern"], shown["phase"]) == ("loan", "canary", "progressing")
    assert (shown["step"], shown["steps"], shown["share"], shown["hold"]) == (0, 3, 0.1, 60.0)
    assert 0 <= shown["held"] < 10
    assert shown["waits_for"].startswith("the hold: ")
    assert shown["shares"] == {"v1": 0.9, "v2": 0.1}
    assert [event["what"] for event in shown["events"]] == ["start"]
    assert shown["spec"]["rollout"]["stable"] == "v1"
    assert shown["config_error"] is None
    everything = await api.get("deployments")
    assert [each["name"] for each in everything["deployments"]] == ["fraud", "loan"]


async def test_what_is_shown_is_what_the_description_says(api: Api) -> None:
    described = document()["components"]["schemas"]
    await api.post("deployments/loan/pause")
    shown = await api.get("deployments/loan")
    assert shown.keys() == described["Deployment"]["properties"].keys()
    assert shown["events"][0].keys() == described["Event"]["properties"].keys()
    assert (await api.post("deployments/loan/resume")).keys() == described["Answer"]["properties"].keys()
    assert await api.get("deployments/loan/samples") == {"samples": []}


async def test_a_list_is_asked_for_with_or_without_intervals(api: Api) -> None:
    for wanted in ("yes", "no"):
        shown = await api.get(f"deployments?intervals={wanted}")
        assert [each["name"] for each in shown["deployments"]] == [
            each["name"] for each in (await api.get("deployments"))["deployments"]
        ]
    status, answer = await api.call("GET", "deployments?intervals=maybe")
    assert (status, answer["known"]) == (400, ["yes", "no"])


async def test_history_is_limited(api: Api) -> None:
    for _ in range(3):
        await api.post("deployments/loan/restart")
    assert len((await api.get("deployments/loan/history?limit=2"))["events"]) == 2


async def test_trends_are_told_from_a_moment_on(api: Api) -> None:
    for at in (100.0, 103.0, 106.0):
        list(api.trends.look(["loan", "fraud"], at))
    told = await api.get("deployments/loan/trends")
    assert [each["at"] for each in told["moments"]] == [103.0, 106.0]
    told = await api.get("deployments/loan/trends?since=103")
    assert [each["at"] for each in told["moments"]] == [106.0]
    assert set((await api.get("trends"))["deployments"]) == {"loan", "fraud"}
    assert (await api.call("GET", "deployments/none/trends"))[0] == 404

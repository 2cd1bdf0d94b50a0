"""The admin API over real sockets: every call, who may make it, and every way it is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from aiohttp.test_utils import TestServer

from router import logs
from router.channel import Erase, Erasing, RecorderSettings
from router.config.loader import Loaded
from router.config.schema import Config
from router.control import admin
from router.control.admin import MAX_BODY, Outside, build_app
from router.control.controller import Controller
from router.control.erasures import Erasures
from router.control.openapi import document
from router.control.terms import Confirmation
from router.control.trends import Trends
from router.errors import ConfigError, Problem
from router.pairs.settings import PairSettings, SubjectSource
from router.rollout.journal import Journal, JournalError, Record
from router.telemetry.ledger import Ledger

OPERATOR, VIEWER = "operator-secret", "viewer-secret"
TOKENS = [
    {"name": "ci", "token": OPERATOR, "role": "operator"},
    {"name": "wall", "token": VIEWER, "role": "viewer"},
]
CANARY = {
    "pattern": "canary",
    "stable": "v1",
    "candidate": "v2",
    "steps": [{"share": "10%", "hold": "1m"}, {"pause": True}, {"share": "50%", "hold": "1m"}],
}
BLUE_GREEN = {"pattern": "blue_green", "blue": "v1", "green": "v2"}


class FakeFleet:
    async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
        return Confirmation(2, 2)

    def recorder_settings(self, settings: RecorderSettings) -> None:
        pass


class FullJournal(Journal):
    full = False

    def write(self, *records: Record) -> None:
        if self.full:
            raise JournalError("the disk is full")
        super().write(*records)


def config_of(tmp_path: Path, tokens: list[dict[str, str]]) -> Config:
    versions = {version: {"url": "http://127.0.0.1:9001"} for version in ("v1", "v2")}
    return Config.model_validate(
        {
            "admin": {"tokens": tokens},
            "pairs": {"path": str(tmp_path / "pairs")},
            "deployments": {
                "loan": {"match": {"path": "/loan"}, "versions": versions, "rollout": CANARY},
                "fraud": {"match": {"path": "/fraud"}, "versions": versions, "rollout": BLUE_GREEN},
            },
        }
    )


class Api:
    """A running admin API and a client to it."""

    def __init__(self, tmp_path: Path, tokens: list[dict[str, str]], listen: str) -> None:
        self.config = config_of(tmp_path, tokens)
        self.journal = FullJournal(tmp_path / "router.db")
        self.controller = Controller(self.journal, FakeFleet(), Ledger(), workers=2)
        self.reload_error: Exception | None = None
        self.ready = True
        self.shortfalls: tuple[str, ...] = ()
        self.orders: list[Erase] = []
        self.erasures = Erasures(self.send)
        self.troubles: tuple[str, ...] = ()
        self.replacements = 0
        self.levels: list[str] = []
        self.trends = Trends(Ledger())
        outside = Outside(
            listen,
            self.reload,
            lambda accept: (b"metric 1\n", "text/plain"),
            lambda: self.ready,
            lambda name: self.shortfalls,
            lambda name: ([], []),
            self.erasures,
            self.trends,
            lambda: self.troubles,
            self.replace_workers,
            self.levels.append,
        )
        self.server = TestServer(build_app(self.controller, outside))
        self.session = ClientSession(timeout=ClientTimeout(total=10))

    def send(self, order: Erase) -> bool:
        self.orders.append(order)
        return True

    async def replace_workers(self) -> int:
        self.replacements += 1
        return 2

    async def reload(self) -> None:
        if self.reload_error is not None:
            self.controller.reject(self.reload_error)
            raise self.reload_error
        await self.controller.apply(Loaded(self.config, "d2", ()))

    async def call(
        self, method: str, path: str, body: Any = None, token: str = "", **headers: str
    ) -> tuple[int, Any]:
        """Status, and the JSON or text of the answer. Paths without / are below /api/v1."""
        url = self.server.make_url(path if path.startswith("/") else f"/api/v1/{path}")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            return answer.status, await _content(answer)

    async def get(self, path: str, **headers: str) -> Any:
        status, content = await self.call("GET", path, **headers)
        assert status == 200, content
        return content

    async def post(self, path: str, body: Any = None) -> Any:
        status, content = await self.call("POST", path, body)
        assert status == 200, content
        return content


async def _content(answer: ClientResponse) -> Any:
    text = await answer.text()
    if answer.status >= 400 and text:
        assert answer.content_type == "application/problem+json"
        problem = json.loads(text)
        assert problem["status"] == answer.status
        return problem
    return json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def running(
    tmp_path: Path, tokens: list[dict[str, str]] | None = None, listen: str = "127.0.0.1:8081"
) -> AsyncIterator[Api]:
    api = Api(tmp_path, tokens or [], listen)
    await api.controller.apply(Loaded(api.config, "d1", ()))
    await api.server.start_server()
    try:
        yield api
    finally:
        await api.session.close()
        await api.server.close()
        await api.controller.close()


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


@pytest_asyncio.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, TOKENS) as api:
        yield api


# Commands


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


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(api: Api) -> None:
    assert (await api.call("GET", "nothing"))[0] == 404
    status, problem = await api.call("GET", "deployments/loan/rollback")
    assert (status, "POST" in problem["detail"]) == (405, True)


async def test_a_body_without_bounds_is_refused(api: Api) -> None:
    status, _ = await api.call("POST", "deployments/loan/rollback", b" " * (MAX_BODY + 1))
    assert status == 413


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


# Two at once


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


# Looking


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


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "1.5", "9" * 30])
async def test_a_wrong_limit_is_refused(api: Api, limit: str) -> None:
    assert (await api.call("GET", f"deployments/loan/history?limit={limit}"))[0] == 400


async def test_history_is_limited(api: Api) -> None:
    for _ in range(3):
        await api.post("deployments/loan/restart")
    assert len((await api.get("deployments/loan/history?limit=2"))["events"]) == 2


def write_pairs(tmp_path: Path, *verdicts: str) -> None:
    half = {"version": "v1", "endpoint": "", "status": 200, "latency_ms": 2.0, "error": ""}
    directory = tmp_path / "pairs" / "loan"
    directory.mkdir(parents=True)
    lines = [
        {
            "id": f"r{n}",
            "exchange": f"x{n}",
            "time": f"2026-01-01T00:00:{n:02}.000000Z",
            "verdict": verdict,
            "score": 1.0 if verdict == "match" else 0.0,
            "primary": half,
            "shadow": half | {"version": "v2"},
            "differences": [{"at": "/a", "primary": 1, "shadow": 2}] if verdict == "mismatch" else [],
        }
        for n, verdict in enumerate(verdicts)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "20260101T000000Z-000001.jsonl").write_text(text)


async def test_pairs_come_newest_first_by_verdict_and_limit(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "mismatch", "match", "mismatch")

    async def ids(query: str) -> list[str]:
        return [pair["id"] for pair in (await api.get(f"deployments/loan/pairs{query}"))["pairs"]]

    assert await ids("") == ["r3", "r2", "r1", "r0"]
    assert await ids("?limit=1") == ["r3"]
    assert await ids("?verdict=mismatch&limit=5") == ["r3", "r1"]
    assert await ids("?id=r2") == ["r2"]
    status, problem = await api.call("GET", "deployments/loan/pairs?verdict=maybe")
    assert (status, "mismatch" in problem["known"]) == (400, True)


async def test_the_comparison_sums_them_up(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "match", "match", "mismatch")
    (shown,) = (await api.get("deployments/loan/comparison"))["comparisons"]
    assert (shown["primary"], shown["shadow"], shown["agreement"]["ratio"]) == ("v1", "v2", 0.75)
    assert shown["verdicts"]["mismatch"] == 1
    assert shown["fields"] == [["/a", 1]]
    assert [each["field"] for each in shown["differences"]] == ["/a"]


async def test_a_comparison_says_what_it_looked_at(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "mismatch")
    for query in ("", "?last=1", "?last=all", "?source=log"):
        shown = await api.get(f"deployments/loan/comparison{query}")
        assert (shown["pairs"], shown["complete"]) == (2, True)
        assert (shown["since"], shown["until"]) == (
            "2026-01-01T00:00:00.000000Z",
            "2026-01-01T00:00:01.000000Z",
        )
    assert (await api.get("deployments/loan/comparison?source=live"))["comparisons"] == [], (
        "as the recorder counted"
    )
    for query, word in (("?last=0", "last"), ("?last=x", "last"), ("?source=page", "source")):
        status, problem = await api.call("GET", f"deployments/loan/comparison{query}")
        assert status == 400
        assert problem["detail"].startswith(word)


async def test_a_subject_is_erased_by_its_key_which_nobody_shows(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    erase = "deployments/loan/pairs/erase"
    status, problem = await api.call("POST", erase, {"key": "alice"})
    assert (status, api.orders) == (409, []), "nothing says whose records they are"
    assert "set pairs.subject" in problem["detail"]
    loan = api.config.deployments["loan"]
    pairs = PairSettings(subject=SubjectSource(header="x-user"))
    api.config = api.config.model_copy(
        update={"deployments": {**api.config.deployments, "loan": loan.model_copy(update={"pairs": pairs})}}
    )
    await api.reload()
    with caplog.at_level("INFO"):
        status, begun = await api.call("POST", erase, {"key": "alice"})
    assert (status, begun["finished"], "type" in begun) == (200, False, False)
    assert api.orders == [Erase(begun["number"], "loan", "alice")]
    assert "alice" not in caplog.text + json.dumps(begun)
    api.erasures.take(Erasing(begun["number"], removed=2, finished=True))
    assert (await api.get(f"{erase}/{begun['number']}"))["removed"] == 2
    for path, expected in ((f"{erase}/99", 404), (f"{erase}/x", 400)):
        assert (await api.call("GET", path))[0] == expected
    for body in ({}, {"key": ""}, {"key": 1}, {"key": "a", "more": 1}):
        assert (await api.call("POST", erase, body))[0] == 400


async def test_without_pairs_there_is_nothing_to_see(api: Api) -> None:
    assert (await api.get("deployments/loan/pairs"))["pairs"] == []
    assert (await api.get("deployments/loan/comparison"))["comparisons"] == []


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


# Events


async def test_events_tell_every_change_as_it_happens(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "KEEP_ALIVE", 0.05)
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readuntil(b"\n\n") == b": listening\n\n"
        assert await stream.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        await api.post("deployments/loan/rollback", {"reason": "bad"})
        chunk = b": keep-alive\n\n"
        while chunk.startswith(b":"):
            chunk = await stream.content.readuntil(b"\n\n")
        kind, data = chunk.decode().strip().split("\n")
        assert kind == "event: rollback"
        assert json.loads(data.removeprefix("data: "))["why"] == "bad"


async def test_a_shutdown_ends_the_event_streams_at_once(api: Api) -> None:
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        await stream.content.readuntil(b"\n\n")
        closing = asyncio.create_task(api.server.close())
        async with asyncio.timeout(5):
            rest = await stream.content.read()
            await closing
    assert rest.startswith(b"event: closing\n")


async def test_a_listener_that_leaves_makes_room(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(admin, "MAX_LISTENERS", 1)
    monkeypatch.setattr(admin, "KEEP_ALIVE", 0.01)
    for _ in range(2):
        async with asyncio.timeout(5):
            while True:
                async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
                    if stream.status == 200:
                        await stream.content.readuntil(b"\n\n")
                        stream.close()
                        break
    assert "failed" not in caplog.text


async def test_there_are_only_so_many_listeners(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MAX_LISTENERS", 1)
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await api.call("GET", "events"))[0] == 503


# Who may


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


# Mistakes of our own


async def test_a_mistake_of_our_own_is_500_and_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret inner workings")

    monkeypatch.setattr(api.controller, "deployments", broken)
    status, problem = await api.call("GET", "deployments")
    assert (status, "secret" in json.dumps(problem)) == (500, False)
    assert "secret inner workings" in caplog.text


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


async def test_workers_are_replaced_for_operators_only(guarded: Api) -> None:
    path = "workers/replace"
    assert (await guarded.call("POST", path, token=VIEWER))[0] == 403
    assert guarded.replacements == 0
    assert await guarded.call("POST", path, token=OPERATOR) == (200, {"replaced": 2})
    assert guarded.replacements == 1


async def test_the_page_needs_no_token_and_the_data_behind_it_does(guarded: Api) -> None:
    status, page = await guarded.call("GET", "/")
    assert status == 200
    assert "/page/main.js" in page
    assert (await guarded.call("GET", "/page/main.js"))[0] == 200
    assert (await guarded.call("GET", "/api/v1/trends"))[0] == 401
    assert (await guarded.call("POST", "/"))[0] == 401


async def test_without_tokens_whoever_comes_may_act(api: Api) -> None:
    assert await api.get("me") == {"name": "local", "role": "operator"}


async def test_everyone_learns_who_they_are_and_what_they_may_do(guarded: Api) -> None:
    assert (await guarded.call("GET", "me", token=VIEWER))[1] == {"name": "wall", "role": "viewer"}
    assert (await guarded.call("GET", "me", token=OPERATOR))[1] == {"name": "ci", "role": "operator"}


async def test_trends_are_told_from_a_moment_on(api: Api) -> None:
    for at in (100.0, 103.0, 106.0):
        list(api.trends.look(["loan", "fraud"], at))
    told = await api.get("deployments/loan/trends")
    assert [each["at"] for each in told["moments"]] == [103.0, 106.0]
    told = await api.get("deployments/loan/trends?since=103")
    assert [each["at"] for each in told["moments"]] == [106.0]
    assert set((await api.get("trends"))["deployments"]) == {"loan", "fraud"}
    assert (await api.call("GET", "deployments/none/trends"))[0] == 404


@pytest.mark.parametrize("since", ["yesterday", "-1", "1e9", "nan", "\u0661"])
async def test_what_is_no_moment_is_400(api: Api, since: str) -> None:
    assert (await api.call("GET", f"deployments/loan/trends?since={since}"))[0] == 400

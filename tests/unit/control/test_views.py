"""What the control plane shows, against what its description promises."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from router.channel import Histogram, RecorderSettings, SeriesTally, Tally
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.admin import views
from router.control.admin.openapi import document
from router.control.controller import Controller
from router.control.orders import RESTART
from router.control.terms import Confirmation
from router.errors import Refused
from router.rollout.journal import Journal
from router.rollout.verdict import Ruling
from router.telemetry.ledger import Ledger

SCHEMAS = document()["components"]["schemas"]
CANARY = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "10%", "hold": "1m"}]}
ROLLOUTS: dict[str, Any] = {
    "canary": CANARY,
    "shadow": {"pattern": "shadow", "primary": "v1", "shadows": ["v2"]},
    "colours": {"pattern": "blue_green", "blue": "v1", "green": "v2"},
}


class Fleet:
    async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
        return Confirmation(1, 1)

    def recorder_settings(self, settings: RecorderSettings) -> None:
        pass


@pytest_asyncio.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    versions = {version: {"url": "http://127.0.0.1:9001"} for version in ("v1", "v2")}
    config = Config.model_validate(
        {
            "admin": {"tokens": [{"name": "ci", "token": "very-secret"}]},
            "deployments": {
                name: {"match": {"path": f"/{name}"}, "versions": versions, "rollout": rollout}
                for name, rollout in ROLLOUTS.items()
            },
        }
    )
    ledger = Ledger()
    seconds = Histogram({100: 4}, 0.1)
    ledger.tally(
        "w", Tally((SeriesTally("canary", "v2", "live", {200: 3, 503: 1}, seconds, seconds, 2),), ())
    )
    controller = Controller(Journal(tmp_path / "router.db"), Fleet(), ledger, workers=1)
    await controller.apply(Loaded(config, "d1", ()))
    yield controller
    await controller.close()


def test_every_pattern_is_shown_as_described(controller: Controller) -> None:
    shown = views.deployments(controller)["deployments"]
    assert [each["name"] for each in shown] == sorted(ROLLOUTS)
    for each in shown:
        assert set(each) == set(SCHEMAS["Deployment"]["properties"])
        text = msgspec.json.encode(each)
        assert msgspec.json.encode(msgspec.json.decode(text)) == text


def test_what_was_counted_is_shown_by_version(controller: Controller) -> None:
    counts = views.deployment(controller, "canary")["evidence"]["v2"]
    assert (counts["requests"], counts["errors"], counts["in_flight"]) == (4, 1, 2)


@pytest.mark.parametrize(
    ("name", "steps", "hold", "waits"),
    [
        ("canary", 1, 60.0, "the hold: 1m left, then 100%"),
        ("shadow", 0, None, "nothing: copies go on until somebody stops them"),
        ("colours", 0, None, "switch, to make green live"),
    ],
)
def test_it_says_what_is_waited_for(
    controller: Controller, name: str, steps: int, hold: float | None, waits: str
) -> None:
    shown = views.deployment(controller, name)
    assert (shown["steps"], shown["hold"], shown["waits_for"]) == (steps, hold, waits)


async def test_last_events_are_few_and_newest_first(controller: Controller) -> None:
    for number in range(views.EVENTS + 3):
        await controller.order("canary", RESTART, "anna", str(number))
    events = views.deployment(controller, "canary")["events"]
    assert len(events) == views.EVENTS
    assert events[0]["why"] == str(views.EVENTS + 2)
    assert set(events[0]) == set(SCHEMAS["Event"]["properties"])


def test_a_refused_configuration_is_on_every_deployment(controller: Controller) -> None:
    controller.reject(ValueError("router.yaml:1: wrong"))
    assert views.config(controller)["status"]["error"] == "router.yaml:1: wrong"
    assert {each["config_error"] for each in views.deployments(controller)["deployments"]} == {
        "router.yaml:1: wrong"
    }


def test_secrets_are_masked(controller: Controller) -> None:
    assert "very-secret" not in str(views.config(controller))
    assert views.config(controller)["config"]["admin"]["tokens"][0]["name"] == "ci"


async def test_what_is_shown_of_the_configuration_is_made_once_for_each_edit(controller: Controller) -> None:
    shown = controller.masked()
    assert views.deployment(controller, "canary")["spec"]["rollout"]["steps"][0]["share"] == 0.1
    assert controller.masked() is shown
    assert controller.config is not None
    edited = controller.config.model_dump(exclude_defaults=True, exclude={"admin"})
    edited["deployments"]["canary"]["rollout"]["steps"] = [{"share": "20%"}]
    await controller.apply(Loaded(Config.model_validate(edited), "d2", ()))
    assert views.deployment(controller, "canary")["spec"]["rollout"]["steps"][0]["share"] == 0.2
    assert views.config(controller)["config"]["admin"]["tokens"] == []


def test_a_list_has_intervals_unless_nobody_wants_them(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out: list[str] = []

    def report(name: str) -> tuple[Ruling, ...]:
        worked_out.append(name)
        return ()

    monkeypatch.setattr(controller, "report", report)
    views.deployments(controller, intervals=False)
    assert worked_out == []
    views.deployments(controller)
    assert worked_out == sorted(ROLLOUTS)


def test_an_unknown_name_is_refused(controller: Controller) -> None:
    with pytest.raises(Refused):
        views.deployment(controller, "other")


def test_before_the_first_configuration_there_is_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "empty.db")
    empty = Controller(journal, Fleet(), Ledger(), workers=1)
    assert views.config(empty)["config"] is None
    assert views.deployments(empty) == {"deployments": [], "generation": 0}
    journal.close()

"""What an edited file means: which states are new, and what the history will say."""

import json
from dataclasses import replace
from typing import Any

import msgspec

from router.config.schema import Config
from router.control.edit import difference, prepare, recorder_settings
from router.control.terms import Change, Deployment
from router.rollout import ramp
from router.rollout.phase import Phase
from router.rollout.state import RolloutState

CANARY = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "10%", "hold": "1m"}]}


def config_of(**rollouts: Any) -> Config:
    versions = {version: {"url": "http://127.0.0.1:9001"} for version in ("v1", "v2", "v3")}
    return Config.model_validate(
        {
            "deployments": {
                name: {"match": {"path": f"/{name}"}, "versions": versions, "rollout": rollout}
                for name, rollout in rollouts.items()
            }
        }
    )


def states(deployments: dict[str, Deployment]) -> dict[str, RolloutState]:
    return {name: deployment.state for name, deployment in deployments.items()}


def edit(before: dict[str, Deployment], config: Config) -> tuple[dict[str, Deployment], Change]:
    known = states(before)
    prepared = prepare(config, known, workers=1, clock=5.0, now=99.0)
    return prepared, difference(prepared, before, known)


def what(change: Change) -> list[tuple[str, str]]:
    return [(move.after.deployment, move.what) for move in change.moves]


def test_a_first_file_starts_everything_sorted() -> None:
    prepared, change = edit({}, config_of(b=CANARY, a=CANARY))
    assert list(prepared) == ["a", "b"]
    assert what(change) == [("a", "start"), ("b", "start")]
    assert change.states == states(prepared)
    assert [move.before.phase for move in change.moves] == [Phase.STEADY, Phase.STEADY]
    assert (prepared["a"].since, prepared["a"].plan.plan.share) == (5.0, 1000)
    assert (change.states["a"].who, change.states["a"].when) == ("config", 99.0)


def test_the_same_file_changes_nothing() -> None:
    prepared, _ = edit({}, config_of(a=CANARY))
    again, change = edit(prepared, config_of(a=CANARY))
    assert (change.states, change.moves) == ({}, ())
    assert again["a"].state is prepared["a"].state


def test_only_what_was_edited_is_in_the_history() -> None:
    prepared, _ = edit({}, config_of(a=CANARY, b=CANARY))
    _, change = edit(prepared, config_of(a=CANARY, b=CANARY | {"soak": "1h"}))
    assert (what(change), change.states) == ([("b", "config")], {})


def test_another_candidate_is_another_rollout() -> None:
    prepared, _ = edit({}, config_of(a=CANARY))
    _, change = edit(prepared, config_of(a=CANARY | {"candidate": "v3"}))
    assert what(change) == [("a", "replace")]
    assert change.moves[0].before.candidates == ("v2",)
    assert change.states["a"].candidates == ("v3",)


def test_edited_steps_move_a_running_rollout() -> None:
    prepared, _ = edit({}, config_of(a=CANARY))
    _, change = edit(prepared, config_of(a=CANARY | {"steps": [{"share": "5%", "hold": "1m"}]}))
    assert (what(change), change.states["a"].share) == ([("a", "config")], 500)
    assert change.states["a"].why == "other steps in the file"


def test_what_is_gone_is_removed_and_keeps_its_last_state() -> None:
    prepared, _ = edit({}, config_of(a=CANARY, b=CANARY))
    _, change = edit(prepared, config_of(b=CANARY))
    assert (what(change), change.states) == ([("a", "removed")], {})


def test_what_the_journal_knows_goes_on_where_it_was() -> None:
    prepared, _ = edit({}, config_of(a=CANARY))
    known = {"a": ramp.rollback(prepared["a"].state)}
    restored = prepare(config_of(a=CANARY), known, workers=1, clock=0.0, now=0.0)
    change = difference(restored, {}, known)
    assert (what(change), change.states) == ([("a", "restored")], {})
    assert change.moves[0].after.phase is Phase.ROLLED_BACK


def test_who_stopped_a_rollout_is_not_forgotten_by_an_edit() -> None:
    prepared, _ = edit({}, config_of(a=CANARY, b=CANARY))
    undone = msgspec.structs.replace(
        ramp.rollback(prepared["a"].state), who="router", why="error_rate: error ratio 9"
    )
    held = ramp.pause(prepared["b"].course, prepared["b"].state)
    stopped = {
        "a": replace(prepared["a"], state=undone),
        "b": replace(prepared["b"], state=msgspec.structs.replace(held, who="ops", why="lunch", when=7.0)),
    }
    fewer = CANARY | {"steps": [{"share": "5%"}, {"share": "20%"}]}
    _, change = edit(stopped, config_of(a=CANARY | {"stable": "v3"}, b=fewer))
    after = change.states["a"]
    assert (after.phase, after.trusted, after.who, after.why) == (
        Phase.ROLLED_BACK, "v3", "router", "error_rate: error ratio 9"
    )  # fmt: skip
    (replaced, edited) = change.moves
    assert (replaced.what, replaced.after.who) == ("replace", "config")
    assert (edited.what, edited.after.who) == ("config", "config")
    assert (change.states["b"].step, change.states["b"].who, change.states["b"].when) == (1, "ops", 7.0)


def test_the_recorder_is_told_how_to_treat_each_deployment() -> None:
    settings = recorder_settings(config_of(a=CANARY, b=CANARY))
    assert (settings.path, settings.rotate_size, settings.keep) == ("var/pairs", 128 << 20, 7 * 86400.0)
    assert sorted(settings.deployments) == ["a", "b"]
    assert "redact" in json.loads(settings.deployments["a"])

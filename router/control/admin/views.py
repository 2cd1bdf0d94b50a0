"""How the control plane shows itself: JSON-able data for the admin API. Floor 4, no I/O."""

from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from router.control.controller import Controller
from router.control.terms import ConfigStatus, Deployment
from router.rollout.journal import Entry
from router.rollout.ramp import lasts
from router.rollout.verdict import Ruling
from router.rollout.waiting import waits_for
from router.shares import SHARE_PARTS

EVENTS = 10
"""Last events shown with a deployment; its history has them all."""

INTERVALS = 20
"""Up to so many deployments are listed with intervals at what their gates say: each takes about a millisecond."""


def deployments(controller: Controller, intervals: bool = True) -> dict[str, Any]:
    """Every deployment, sorted by name."""
    specs = _specs(controller)
    known = controller.deployments()
    said = controller.report if intervals and len(known) <= INTERVALS else controller.rulings
    shown = [_deployment(controller, each, specs, said(each.state.deployment)) for each in known]
    return {"deployments": shown, "generation": controller.generation}


def deployment(controller: Controller, name: str) -> dict[str, Any]:
    """One deployment: what is wanted, where it is, what it waits for, what was counted. Raises Refused (404)."""
    return _deployment(controller, controller.deployment(name), _specs(controller), controller.report(name))


def history(entries: Iterable[Entry]) -> dict[str, Any]:
    """Events, in the order given."""
    return {"events": [to_builtins(entry) for entry in entries]}


def config(controller: Controller) -> dict[str, Any]:
    """The configuration in force, secrets masked, and how it stands."""
    return {"config": controller.masked(), "status": _status(controller.status)}


def _specs(controller: Controller) -> dict[str, Any]:
    masked = controller.masked()
    return {} if masked is None else masked["deployments"]


def _deployment(
    controller: Controller, shown: Deployment, specs: dict[str, Any], rulings: tuple[Ruling, ...]
) -> dict[str, Any]:
    state, course = shown.state, shown.course
    name = state.deployment
    return {
        "name": name,
        "pattern": state.pattern,
        "phase": state.phase.value,
        "step": state.step,
        "steps": 0 if state.pattern == "shadow" else len(course.rungs),
        "share": state.share / SHARE_PARTS,
        "mirror": state.mirror / SHARE_PARTS,
        "held": round(state.held, 3),
        "hold": lasts(course, state),
        "waits_for": waits_for(course, state, rulings),
        "gates": [to_builtins(ruling) for ruling in rulings],
        "shares": state.shares(),
        "trusted": state.trusted,
        "candidates": list(state.candidates),
        "live": state.live,
        "changed": {"who": state.who, "why": state.why, "when": state.when},
        "generation": controller.generation,
        "evidence": controller.evidence(name),
        "events": [to_builtins(entry) for entry in controller.recent(name)[:EVENTS]],
        "config_error": controller.status.error or None,
        "spec": specs.get(name),
    }


def _status(status: ConfigStatus) -> dict[str, Any]:
    return {
        "digest": status.digest,
        "loaded_at": status.loaded_at,
        "error": status.error or None,
        "failed_at": status.failed_at or None,
        "warnings": status.warnings,
    }

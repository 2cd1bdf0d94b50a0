"""The rollout of a configuration that a running router shows, as a model again. Floor 3, pure.

What is shown is JSON with durations in seconds and secrets masked. Only what says where requests go and how the
rollout goes on is taken up; its gates are not: they are what is to be replaced.
"""

from typing import Any

from router.config.schema import DeploymentSpec

_DURATIONS = frozenset({"hold", "soak", "keep", "give_up", "timeout"})
_LEFT_OUT = frozenset({"gates", "noise"})


def spec_again(shown: dict[str, Any]) -> DeploymentSpec:
    """The spec of a deployment, from `spec` as the admin API shows it: versions and rollout, without gates.

    Raises pydantic.ValidationError where the router that showed it is of another make.
    """
    versions = {name: {"url": "http://not-called/"} for name in shown["versions"]}
    rollout = _wanted(shown["rollout"])
    return DeploymentSpec.model_validate({"match": {"path": "/"}, "versions": versions, "rollout": rollout})


def _wanted(value: Any, key: str = "") -> Any:
    """As a person would write it: seconds with their unit, and nothing where there is nothing."""
    if isinstance(value, dict):
        if value.get("pause"):
            return {"pause": True}
        kept = {name: each for name, each in value.items() if each is not None and name not in _LEFT_OUT}
        return {name: _wanted(each, name) for name, each in kept.items()}
    if isinstance(value, list):
        return [_wanted(each) for each in value]
    return f"{value:f}s" if key in _DURATIONS else value

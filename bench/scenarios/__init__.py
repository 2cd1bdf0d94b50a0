"""What is measured, one file a scenario (or a family of them). A new one is a file and a line in `registered`."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Outcome
from bench.session import Session


@dataclass(frozen=True)
class Scenario:
    """Its name, what it is in a few words, and what runs it."""

    name: str
    about: str
    run: Callable[[Session], Outcome]


def registered(streams: tuple[int, ...]) -> tuple[Scenario, ...]:
    """All of them, in the order of the report; `streams` are the cases of the fan-out."""
    from bench.scenarios import (  # noqa: PLC0415  (they import Scenario)
        bodies,
        fanout,
        growth,
        requests,
        rollback,
        start,
        ticks,
    )

    return (
        *requests.SCENARIOS,
        *(fanout.scenario(count) for count in streams),
        *bodies.SCENARIOS,
        *growth.SCENARIOS,
        rollback.SCENARIO,
        ticks.SCENARIO,
        start.SCENARIO,
    )

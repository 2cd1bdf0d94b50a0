"""The rollouts that are simulated: by the tests, and by `measure`, which writes the tables of docs/statistics.md."""

from collections.abc import Callable, Iterator
from math import inf, pi, sin

from router.rollout.gates import Gate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from tests.simulation.rollouts import Ending, ladder, run
from tests.simulation.traffic import Latency, Rate, Service, Traffic, steadily

Scenario = Callable[[int], Ending]
"""One rollout, from its seed."""

NORMAL = 0.01
"""Stable's error rate, unless it is said otherwise."""

BUSY = 50.0
"""Requests a second, unless it is said otherwise."""

DAY = 86400.0
STEPS = ((0.01, 120.0), (0.05, 120.0), (0.25, 60.0), (0.5, 60.0))
"""1 → 5 → 25 → 50 → 100 %, with the least seconds at each."""


def repeat(scenario: Scenario, runs: int) -> Iterator[Ending]:
    """So many rollouts, each from a seed of its own."""
    return (scenario(seed) for seed in range(runs))


def whole_ramp(candidate: float, rate: float = BUSY, stable: float = NORMAL) -> Scenario:
    """The ladder above to its end, or to a rollback."""
    return moving_ramp(steadily(stable), steadily(candidate), rate)


def moving_ramp(stable: Rate, candidate: Rate, rate: float = BUSY, lasting: float = DAY / 2) -> Scenario:
    """The same with error rates that change with time."""
    course = ladder(*STEPS, gates=[ErrorRateGate()])
    return lambda seed: run(course, Traffic(seed, rate, Service(stable), Service(candidate)), lasting)


def morning(now: float) -> float:
    """0.5 %, then, as the share rises, 3 %."""
    return 0.005 if now < 240.0 else 0.03


def troubled(now: float) -> float:
    """From 0.5 to 2.5 % and back within ten minutes, and each five an outage of twenty seconds that all suffer."""
    return 0.4 if now % 300.0 < 20.0 else 0.015 + 0.01 * sin(2 * pi * now / 600.0)


def failing(
    candidate: Rate, share: float = 0.05, lasting: float = DAY, look: float = 1.0, drawn: bool = True
) -> Scenario:
    """One step without an end: when is it rolled back?"""
    course = ladder((share, inf), gates=[ErrorRateGate()])
    stable = Service(steadily(NORMAL))
    return lambda seed: run(
        course, Traffic(seed, BUSY, stable, Service(candidate)), lasting, look, drawn=drawn
    )


def from_then_on(when: float, rate: float) -> Rate:
    """As stable at first, and `rate` from some second on."""
    return lambda now: NORMAL if now < when else rate


def slower(factor: float, max_ratio: float, lasting: float = 7200.0, look: float = 1.0) -> Scenario:
    """A candidate that takes `factor` times as long, lognormal with sigma 0.5, at 5 %."""
    course = ladder((0.05, inf), gates=[LatencyGate(max_ratio=max_ratio)])
    stable = Service(steadily(0.0), Latency(0.05, 0.5))
    candidate = Service(steadily(0.0), Latency(0.05, 0.5, factor))
    return lambda seed: run(course, Traffic(seed, BUSY, stable, candidate), lasting, look)


def trickle(per_minute: float, *gates: Gate, lasting: float) -> Scenario:
    """A step of 5 % and one minute, then 50 %, on next to no traffic, half of which fails at the candidate's."""
    course = ladder((0.05, 60.0), (0.5, 60.0), gates=gates)
    services = Service(steadily(NORMAL)), Service(steadily(NORMAL))
    return lambda seed: run(course, Traffic(seed, per_minute / 60, *services), lasting, 5.0, min_requests=100)

"""What a spec asks of its rollout, as numbers: the same shape for every pattern.

Floor 2. `config.snapshot` builds it from the YAML; `ramp` moves a state along it. Shares are of SHARE_PARTS,
times seconds. A shadow is one rung without end; a blue-green switch without steps has no rung at all.
"""

from collections.abc import Iterable
from math import inf
from typing import Literal

import msgspec

from router.rollout.gates import Gate
from router.rollout.steps import CanaryStep, Step
from router.shares import SHARE_PARTS, share_parts


class Rung(msgspec.Struct, frozen=True):
    """One step as it is executed. A pause carries the share of the rung before it and waits for a person; so does a
    step whose `hold` is infinite. `gates` are its own, beside those of the whole rollout."""

    share: int
    mirror: int = 0
    hold: float = 0.0
    pause: bool = False
    gates: tuple[Gate, ...] = ()


class Course(msgspec.Struct, frozen=True):
    """The whole way of one deployment's rollout.

    `trusted` answers at the beginning and after a rollback, `candidates` are on trial (several for shadows,
    none without a rollout). `soak` follows the last rung; `keep` is how long the old colour stays ready.
    `colours` maps colours to versions (blue-green only).

    `gates` watch at every step and after the last. What a failing one leads to is `on_fail` (for a shadow nothing:
    it answers nobody); where they come to no verdict for `give_up` seconds beyond a step's hold, `on_inconclusive`
    (infinite: they may take for ever).
    """

    deployment: str
    pattern: str
    trusted: str
    candidates: tuple[str, ...] = ()
    rungs: tuple[Rung, ...] = ()
    soak: float = 0.0
    keep: float = 0.0
    colours: dict[str, str] = {}
    gates: tuple[Gate, ...] = ()
    on_fail: Literal["rollback", "pause"] = "rollback"
    on_inconclusive: Literal["hold", "pause", "rollback"] = "hold"
    give_up: float = inf

    @property
    def starts(self) -> bool:
        """Whether it begins by itself: all but blue-green do, which waits for `switch`."""
        return bool(self.rungs) and not self.colours

    @property
    def answers(self) -> bool:
        """Whether a candidate may answer clients: a shadow never does."""
        return bool(self.candidates) and self.pattern != "shadow"


def endless(mirror: int) -> tuple[Rung, ...]:
    """The course of a shadow: copies, and nothing to wait for."""
    return (Rung(share=0, mirror=mirror, hold=inf),)


def conditions(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates that a step can wait for: the sample ratio says when something is wrong, and passes nothing."""
    return tuple(gate for gate in gates if gate.tag != "sample_ratio")


def rungs_of(steps: Iterable[Step], gates: Iterable[Gate] = ()) -> tuple[Rung, ...]:
    """The steps of the YAML, each with the share it really has; `gates` are those of the whole rollout.

    A step that does not say how long to stay goes on as soon as its gates pass; without any it waits for a person.
    """
    gated = bool(conditions(gates))
    rungs: list[Rung] = []
    for step in steps:
        if step.share is None:
            before = rungs[-1] if rungs else Rung(share=0)
            rungs.append(Rung(before.share, before.mirror, pause=True))
            continue
        mirror = share_parts(step.mirror) if isinstance(step, CanaryStep) else 0
        share = share_parts(step.share)
        unsaid = 0.0 if gated or conditions(step.gates) or share == SHARE_PARTS else inf
        rungs.append(Rung(share, mirror, unsaid if step.hold is None else step.hold, gates=step.gates))
    return tuple(rungs)

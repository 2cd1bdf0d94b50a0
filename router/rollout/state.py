"""Where one deployment's rollout is: the status to its spec. An immutable value. Floor 2."""

import msgspec

from router.rollout.phase import Phase
from router.shares import SHARE_PARTS


class RolloutState(msgspec.Struct, frozen=True):
    """One moment of a rollout.

    `trusted` is the version a rollback returns to, `candidates` the versions on trial (one; several shadows).
    `step` counts rungs from 0; the number of rungs means: past the last one. `share` is the part of the
    requests the candidate answers, `mirror` the part that is copied, both of SHARE_PARTS. `held` are the
    seconds spent at this step while it was running: kept here, so that a restart counts no second twice.
    `cohort` numbers the exposures of this deployment: it rises with every change of share, mirror or versions,
    and is never used twice. `began` is the first cohort of this rollout, which tells it from those before: what
    was counted under an older one is no evidence now. `who`, `why` and `when` (Unix time) tell of the last change.
    """

    deployment: str
    pattern: str
    trusted: str
    candidates: tuple[str, ...] = ()
    phase: Phase = Phase.STEADY
    step: int = 0
    share: int = 0
    mirror: int = 0
    held: float = 0.0
    who: str = ""
    why: str = ""
    when: float = 0.0
    cohort: int = 0
    began: int = 0

    @property
    def live(self) -> str:
        """The version that is trusted now: the candidate once it is promoted."""
        if self.phase is Phase.PROMOTED and self.candidates:
            return self.candidates[0]
        return self.trusted

    def shares(self) -> dict[str, float]:
        """Each version's part of the live answers, as a fraction."""
        shares = dict.fromkeys((self.trusted, *self.candidates), 0.0)
        shares[self.trusted] = (SHARE_PARTS - self.share) / SHARE_PARTS
        if self.share:
            shares[self.candidates[0]] = self.share / SHARE_PARTS
        return shares

"""What a gate says. Floor 2.

Four things that are never mixed: it passes, it fails, there is too little evidence, or it could not be measured.
An error is never a fail and never a pass.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Verdict(StrEnum):
    """The verdict of a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Ruling(msgspec.Struct, frozen=True):
    """One gate's verdict with the numbers it used.

    `gate` is its kind in the YAML, `why` one sentence for a person ("error ratio 1.1 [0.6, 2.3], must be shown
    below 2"), `numbers` what a page or a test reads. `hold`: the evidence leans against the candidate, or the split
    is not what it should be, so that no step up happens now although nothing has failed. `wait` is how many seconds
    it may take to pass at the present traffic; None where nobody can tell.
    """

    gate: str
    verdict: Verdict
    why: str
    numbers: dict[str, Any] = {}
    hold: bool = False
    wait: float | None = None

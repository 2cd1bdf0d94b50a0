"""What is kept of a rollout's evidence: its state at the newest checkpoint, and samples of what came in when.

Floor 2. The state lets a new controller go on with every count once. The samples let other gates be run over a
rollout that is over: each holds the blocks that were closed since the one before, merged, which a fresh
`rollout.evidence.Evidence` takes by `apply`.
"""

from collections.abc import Iterable

import msgspec

from router.rollout.evidence_counts import Block, Sample
from router.rollout.state import RolloutState

EVERY = 10.0
"""Seconds between two samples of a young rollout."""

_PART = 1 / 360
"""Later ones are this part of the rollout's time apart: ten seconds in its first hour, four minutes in its first
day. So the samples of a rollout number at most about 360 · (1 + ln(hours))."""


class EvidenceSample(msgspec.Struct, frozen=True):
    """What was counted from one moment of a rollout to another.

    `ran` are the seconds the rollout had run at the end, which was at `when` (Unix time), and `state` is where it was
    until then. `blocks`: one for each cohort that counted anything, over all workers. `candidate` is whose evidence
    it is, where a rollout has several.
    """

    number: int
    ran: float
    when: float
    state: RolloutState
    candidate: str
    blocks: tuple[Block, ...] = ()


class KeptEvidence(msgspec.Struct, frozen=True):
    """The evidence of the rollout that `began` with this cohort, as it was when it had run for `ran` seconds.

    `state` is msgpack of a `rollout.evidence.EvidenceState` for each candidate; `samples` the newest one's number.
    """

    deployment: str
    began: int
    ran: float
    state: bytes
    samples: int = 0


def is_due(last: float, ran: float) -> bool:
    """Whether another sample is to be taken, `ran` seconds into a rollout, after one taken at `last`."""
    return ran - last >= max(EVERY, ran * _PART)


def merged(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks of each cohort as one; the blocks themselves stay as they are."""
    total: dict[int, Block] = {}
    for block in blocks:
        sum_ = total.get(block.cohort)
        if sum_ is None:
            sum_ = total[block.cohort] = Block(block.cohort, block.exposed, block.opened)
        sum_.closed = block.closed
        sum_.whole.add(block.whole)
        for name, sample in block.slices.items():
            sum_.sample(name).add(sample)
    return tuple(total.values())


def is_empty(block: Block) -> bool:
    """Whether nothing at all was counted in it."""
    return block.whole == Sample()


def encode(sample: EvidenceSample) -> bytes:
    """The sample as the journal keeps it."""
    return msgspec.msgpack.encode(sample)


def decode(data: bytes) -> EvidenceSample:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(data, type=EvidenceSample)

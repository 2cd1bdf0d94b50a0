"""The way of a capture through the recorder: spooled, joined, compared, redacted, written, released.

No clock, no loop, no threads: the recorder's process says when, and how much at once.
"""

import errno
import logging
from collections import deque

import msgspec

from router.channel import Capture, RecorderSettings, RecorderTally, encode
from router.pairs.comparators import Comparator
from router.pairs.joining import PRIMARY, Joined, Joiner, Stray, size_of
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings
from router.pairs.sinks import Sink
from router.pairs.spool import Segment, Spool, SpoolFull, captures
from router.pairs.tallies import Tallies

_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(exchange, shadow version): what makes a pair the same pair."""

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class _Rules:
    """One deployment's settings, ready for use."""

    __slots__ = ("comparator", "redactor")

    def __init__(self, settings: PairSettings) -> None:
        self.comparator: Comparator = settings.compare
        self.redactor = Redactor(settings.redact)


class Pipeline:
    """Bounded everywhere: waiting halves by the joiner, pairs to write by `max_queue` bytes, files by the spool.

    What cannot be kept is counted by reason: recorder_busy, unknown_deployment, spool_full, spool_error,
    redaction_error, comparison_error, disk_full, write_error, and those of the joiner.
    """

    def __init__(self, spool: Spool, sink: Sink, joiner: Joiner, *, max_queue: int = 64 << 20) -> None:
        self._spool = spool
        self._sink = sink
        self._joiner = joiner
        self._max_queue = max_queue
        self._queue: deque[Joined] = deque()
        self._queued = 0
        self._places: dict[int, Segment] = {}
        self._rules: dict[str, _Rules] = {}
        self._defaults = _Rules(PairSettings())
        self._tallies = Tallies()

    def configure(self, settings: RecorderSettings) -> None:
        """Takes over the settings of each deployment. One no longer named keeps its last ones while it drains."""
        for name, text in settings.deployments.items():
            parsed = PairSettings.model_validate_json(text) if text else PairSettings()
            self._rules[name] = _Rules(parsed)

    def take(self, capture: Capture, now: float) -> None:
        """Takes a capture that arrives at `now` (seconds, monotonic): from here on it is in the spool."""
        if self._queued >= self._max_queue:
            self._tallies.drop(capture.deployment, "recorder_busy")
            return
        rules = self._rules.get(capture.deployment)
        if rules is None:  # nothing is written before it is known what must be redacted
            self._tallies.drop(capture.deployment, "unknown_deployment")
            return
        try:
            safe = rules.redactor.capture(capture)
            segment = self._spool.append(encode(safe))
        except SpoolFull:
            self._tallies.drop(capture.deployment, "spool_full")
        except OSError as error:
            self._tallies.drop(capture.deployment, _reason(error, "spool_error"))
        except Exception:  # a body that trips the redactor must neither reach the disk nor stop the others
            _log.exception("a capture of deployment %s could not be redacted", capture.deployment)
            self._tallies.drop(capture.deployment, "redaction_error")
        else:
            self._join(capture, segment, now)

    def recover(self, segment: Segment, written: set[Key], now: float) -> None:
        """Takes the captures of a segment a dead recorder left, without the pairs it had written.

        A redacted value is known no more: in these pairs it counts as equal.
        """
        segment.pending += 1  # holds the file while it is read
        for capture in captures(segment):
            rest = _unwritten(capture, written)
            if rest is not None:
                segment.pending += 1
                self._join(rest, segment, now)
        self._spool.release(segment)

    def work(self, wall: float, pairs: int = 32, size: int = 1 << 20) -> bool:
        """Writes up to so many pairs, or pairs of so many bytes; says whether more are waiting.

        `wall` is seconds since the epoch.
        """
        batches: dict[str, list[tuple[Joined, bytes]]] = {}
        while self._queue and pairs > 0 and size > 0:
            joined = self._queue.popleft()
            pairs -= 1
            size -= _size(joined)
            self._queued -= _size(joined)
            self._prepare(joined, batches)
        for deployment, batch in batches.items():
            self._write(deployment, batch, wall)
        return bool(self._queue)

    def expire(self, now: float) -> None:
        """Gives up on halves that waited too long."""
        self._settle(self._joiner.expire(now))

    def finish(self, now: float, wall: float) -> None:
        """Writes everything that waits, halves without their other half as well."""
        self._settle(self._joiner.flush(now))
        while self.work(wall):
            pass

    def tally(self) -> RecorderTally | None:
        """The counts for the controller, None when they have not changed."""
        return self._tallies.frame()

    def _join(self, capture: Capture, segment: Segment, now: float) -> None:
        self._places[id(capture)] = segment
        self._settle(self._joiner.add(capture, now))

    def _settle(self, settled: list[Joined | Stray]) -> None:
        for each in settled:
            if isinstance(each, Stray):
                self._tallies.drop(each.capture.deployment, each.reason)
                self._release((each.capture,))
            else:
                self._queue.append(each)
                self._queued += _size(each)

    def _prepare(self, joined: Joined, batches: dict[str, list[tuple[Joined, bytes]]]) -> None:
        deployment = _deployment(joined)
        # A deployment that is gone may still have captures in a left-over spool; they were redacted before.
        rules = self._rules.get(deployment, self._defaults)
        try:
            pair = build(joined, rules.comparator, rules.redactor)
            line = pair.line()
        except Exception:
            # Replayed from the spool, one capture that trips us would stop every recorder after this one.
            _log.exception("a pair of deployment %s could not be compared", deployment)
            self._lose(deployment, joined, "comparison_error")
            return
        # The gates need the verdict even where the disk has no room for the pair.
        self._tallies.pair(pair)
        batches.setdefault(deployment, []).append((joined, line))

    def _write(self, deployment: str, batch: list[tuple[Joined, bytes]], wall: float) -> None:
        try:
            self._sink.write(deployment, [line for _, line in batch], wall)
        except OSError as error:
            for joined, _ in batch:
                self._lose(deployment, joined, _reason(error, "write_error"))
            return
        for joined, _ in batch:
            self._release(joined.done)

    def _lose(self, deployment: str, joined: Joined, reason: str) -> None:
        self._tallies.drop(deployment, reason, len(joined.done))
        self._release(joined.done)

    def _release(self, done: tuple[Capture, ...]) -> None:
        for capture in done:
            self._spool.release(self._places.pop(id(capture)))


def _unwritten(capture: Capture, written: set[Key]) -> Capture | None:
    """The capture for the pairs that are not in the log yet; None when all of its pairs are."""
    if capture.role != PRIMARY:
        return None if (capture.exchange, capture.answer.version) in written else capture
    copies = tuple(version for version in capture.copies if (capture.exchange, version) not in written)
    if not copies:
        return None
    return capture if copies == capture.copies else msgspec.structs.replace(capture, copies=copies)


def _halves(joined: Joined) -> list[Capture]:
    return [half for half in (joined.primary, joined.shadow) if half is not None]


def _deployment(joined: Joined) -> str:
    return _halves(joined)[0].deployment


def _size(joined: Joined) -> int:
    return sum(size_of(half) for half in _halves(joined))


def _reason(error: OSError, otherwise: str) -> str:
    return "disk_full" if error.errno in _FULL else otherwise

"""The way of a capture through the recorder: spooled, joined, compared, redacted, written, released.

No clock, no loop, no threads: the recorder's process says when, and how much at once.
"""

import errno
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from router.channel import Capture, RecorderSettings, RecorderTally, encode
from router.errors import whence
from router.pairs.comparators import Comparator
from router.pairs.erasure import Finder
from router.pairs.forgotten import Forgotten
from router.pairs.joining import PRIMARY, Joined, Joiner, Stray, size_of
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings, SubjectSource
from router.pairs.sinks import Sink
from router.pairs.slices import Slicer
from router.pairs.sources import Sources
from router.pairs.spool import Segment, Spool, SpoolFull, captures
from router.pairs.subject import Subjects
from router.pairs.tallies import Tallies

_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(exchange, shadow version): what makes a pair the same pair."""

CaptureKey = tuple[str, str, str]
"""(exchange, role, version): what makes a capture the same capture."""

TOLD_AFTER = 4
"""Calls of `expire` within which every worker has been told what was taken: a second, four times what it needs."""

RESENT_WITHIN = 60.0
"""Seconds after a restart in which a worker may send captures again that the dead recorder had taken."""

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class _Rules:
    """One deployment's settings, ready for use."""

    __slots__ = ("comparator", "redactor", "slicer", "subjects")

    def __init__(self, settings: PairSettings) -> None:
        self.comparator: Comparator = settings.compare
        self.redactor = Redactor.of(settings)
        self.slicer = Slicer(settings.slices)
        self.subjects = Subjects.of(settings)


def _nowhere(line: bytes) -> None:
    """There is no sink but the file."""


class Pipeline:
    """Bounded everywhere: waiting halves by the joiner, pairs to write by `max_queue` bytes, files by the spool.

    Each line of the log is also handed to `offer`, which neither waits nor raises, whether the file took it or not.

    What cannot be kept is counted by reason: recorder_busy, unknown_deployment, spool_full, spool_error,
    redaction_error, comparison_error, disk_full, write_error, and those of the joiner.
    """

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        joiner: Joiner,
        offer: Callable[[bytes], None] = _nowhere,
        sources: Sources | None = None,
        *,
        forgotten: Forgotten | None = None,
        max_queue: int = 64 << 20,
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._offer = offer
        self._joiner = joiner
        self._max_queue = max_queue
        self._queue: deque[tuple[Joined, int]] = deque()
        self._queued = 0
        self._places: dict[int, Segment] = {}
        self._rules: dict[str, _Rules] = {}
        self._defaults = _Rules(PairSettings())
        self._tallies = Tallies()
        self._forgotten = forgotten or Forgotten()
        self._sources = sources or Sources()
        self._recovered: dict[CaptureKey, float] = {}
        self._done: deque[list[Segment]] = deque([[]])

    def configure(self, settings: RecorderSettings) -> None:
        """Takes over the settings of each deployment. One no longer named keeps its last ones while it drains."""
        for name, text in settings.deployments.items():
            parsed = PairSettings.model_validate_json(text) if text else PairSettings()
            self._rules[name] = _Rules(parsed)

    def take(self, capture: Capture, now: float) -> None:
        """Takes a capture that arrives at `now` (seconds, monotonic): from here on it is in the spool.

        What `recover` has taken already is sent again by a worker that was not told so, and passed over.
        """
        if self._recovered and self._recovered.pop(_key(capture), None) is not None:
            return
        if self._queued >= self._max_queue:
            self._tallies.drop(capture.deployment, "recorder_busy")
            return
        rules = self._rules.get(capture.deployment)
        if rules is None:  # nothing is written before it is known what must be redacted
            self._tallies.drop(capture.deployment, "unknown_deployment")
            return
        try:
            capture = rules.subjects.mark(capture)
            safe = rules.redactor.capture(capture)
            segment = self._spool.append(encode(safe))
        except SpoolFull:
            self._tallies.drop(capture.deployment, "spool_full")
        except OSError as error:
            self._tallies.drop(capture.deployment, _reason(error, "spool_error"))
        except (
            Exception
        ) as error:  # a body that trips the redactor must neither reach the disk nor stop the others
            _log.error("a capture of %s could not be redacted: %s", capture.deployment, whence(error))
            self._tallies.drop(capture.deployment, "redaction_error")
        else:
            self._join(capture, segment, now)

    def recover(self, segment: Segment, written: set[Key], now: float) -> None:
        """Takes the captures of a segment a dead recorder left, without the pairs it had written.

        Where redaction has taken something out of an answer, such a pair is incomparable (`pair.CONCEALED`).
        """
        segment.pending += 1  # holds the file while it is read
        for capture in captures(segment):
            self._recovered[_key(capture)] = now
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
            joined, weight = self._queue.popleft()
            pairs -= 1
            size -= weight
            self._queued -= weight
            self._prepare(joined, batches)
        for deployment, batch in batches.items():
            self._write(deployment, batch, wall)
        return bool(self._queue)

    def expire(self, now: float) -> None:
        """Gives up on halves that waited too long, and lets go of captures that were done some calls before.

        Until then what was taken is in the spool: after a kill it is still known which captures were taken, though
        a worker may not have been told.
        """
        self._settle(self._joiner.expire(now))
        if self._recovered and now - next(reversed(self._recovered.values())) > RESENT_WITHIN:
            self._recovered.clear()
        self._done.append([])
        self._let_go(TOLD_AFTER)
        self._spool.tidy(now)

    def deployments(self) -> dict[str, SubjectSource | None]:
        """Those it has settings of, and where their requests name the subject."""
        return {name: rules.subjects.source for name, rules in self._rules.items()}

    def forget(self, deployment: str, key: str, until: str, hash_key: str = "") -> Finder:
        """From now on no pair of this subject is written whose request came until then (as the log writes times).

        Returns who finds those that were, under every key there is for `hash`, and `hash_key`: a deployment that is
        in no file any more, or had another key once, has its records still. Raises OSError.
        """
        keys = {rules.subjects.key for rules in self._rules.values()} | {hash_key.encode()}
        subjects = self._rules.get(deployment, self._defaults).subjects
        if subjects.source is None:
            subjects = Subjects(self._sources.of(deployment), subjects.key)
        finder = Finder(subjects, key, keys)
        self._forgotten.add(deployment, finder.hashes, until)
        return finder

    def forgotten(self, deployment: str, finder: Finder) -> int:
        """Pairs that were not written since `forget`."""
        return self._forgotten.removed(deployment, finder.hashes)

    def finish(self, now: float, wall: float) -> None:
        """Writes everything that waits, halves without their other half as well."""
        self._settle(self._joiner.flush(now))
        while self.work(wall):
            pass
        self._let_go(rounds=0)

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
                weight = _size(each)
                self._queue.append((each, weight))
                self._queued += weight

    def _prepare(self, joined: Joined, batches: dict[str, list[tuple[Joined, bytes]]]) -> None:
        deployment = _deployment(joined)
        # A deployment that is gone may still have captures in a left-over spool; they were redacted before.
        rules = self._rules.get(deployment, self._defaults)
        try:
            pair = build(joined, rules.comparator, rules.redactor, rules.slicer)
            line = pair.line()
        except Exception as error:
            # Replayed from the spool, one capture that trips us would stop every recorder after this one.
            _log.error("a pair of %s could not be compared: %s", deployment, whence(error))
            self._lose(deployment, joined, "comparison_error")
            return
        if self._forgotten.takes(deployment, pair.subject, pair.time):
            self._release(joined.done)
            return
        # The gates need the verdict even where the disk has no room for the pair.
        self._tallies.pair(pair)
        batches.setdefault(deployment, []).append((joined, line))

    def _write(self, deployment: str, batch: list[tuple[Joined, bytes]], wall: float) -> None:
        # Before the file: what is in there is not made again after a kill, and would reach no other sink.
        for _, line in batch:
            self._offer(line)
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
        self._done[-1] += [self._places.pop(id(capture)) for capture in done]

    def _let_go(self, rounds: int) -> None:
        """Of all that was done, but for the last so many calls of `expire`."""
        while len(self._done) > rounds:
            for segment in self._done.popleft():
                self._spool.release(segment)
        if not self._done:
            self._done.append([])


def _key(capture: Capture) -> CaptureKey:
    return capture.exchange, capture.role, capture.answer.version


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

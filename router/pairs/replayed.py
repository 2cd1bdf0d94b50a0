"""What a replay found: verdicts, fields, latencies then and now, what was not sent; and whether it is enough."""

from collections import Counter

import msgspec

from router.channel import Histogram
from router.pairs.comparators.base import VERDICTS
from router.pairs.details import count_fields, field
from router.pairs.intervals import Share, wilson
from router.pairs.pair import Pair
from router.pairs.replay import Selector
from router.telemetry.counters import bucket_of, quantile

TOP = 10
"""Fields listed in a report, the most frequent first."""


class Latency(msgspec.Struct, frozen=True):
    """Of the answers that were whole, in milliseconds, within 2 %; None without any."""

    median_ms: float | None
    p95_ms: float | None


class Report(msgspec.Struct, frozen=True):
    """The sum of a replay.

    `requests` are those asked for: `sent` to the new version in so many `seconds`, `unfit` (by reason) because the
    log does not hold them whole, and what was left when the replay was stopped. `repeated` pairs were of requests
    sent already, `others` of versions not asked for. `agreement` is among comparable pairs; `errors`
    says by kind why answers of the new version were not. `recorded` counts the pairs by the version that had
    answered. `then` and `now` are the latencies of the comparable pairs.
    """

    requests: int
    sent: int
    seconds: float
    unfit: dict[str, int]
    repeated: int
    others: int
    recorded: dict[str, int]
    verdicts: dict[str, int]
    agreement: Share
    fields: tuple[tuple[str, int], ...]
    errors: dict[str, int]
    then: Latency
    now: Latency

    @property
    def comparable(self) -> int:
        return self.sent - self.verdicts["incomparable"]


class Tally:
    """Adds up pairs as they come."""

    def __init__(self) -> None:
        self.sent = 0
        self.verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        self._recorded: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._fields: dict[str, int] = {}
        self._then: Counter[int] = Counter()
        self._now: Counter[int] = Counter()

    def add(self, pair: Pair) -> None:
        """Counts one pair: `shadow` is the new version's half."""
        self.sent += 1
        self.verdicts[pair.verdict] += 1
        self._recorded[pair.primary.version] += 1
        if pair.verdict == "incomparable":
            self._errors[_problem(pair)] += 1
            return
        if pair.verdict == "mismatch":
            count_fields(self._fields, {field(each.at) for each in pair.differences})
        for counts, side in ((self._then, pair.primary), (self._now, pair.shadow)):
            if side.latency_ms is not None:
                counts[bucket_of(side.latency_ms / 1000)] += 1

    def agreement(self) -> Share:
        """Matches among the comparable pairs so far."""
        return wilson(self.verdicts["match"], self.verdicts["match"] + self.verdicts["mismatch"])

    def report(self, fit: int, selector: Selector, seconds: float) -> Report:
        """The sum so far, of `fit` requests that the selector found to be sent, after so many seconds."""
        ranked = sorted(self._fields.items(), key=lambda item: (-item[1], item[0]))
        return Report(
            requests=fit + selector.unfit.total(),
            sent=self.sent,
            seconds=round(seconds, 3),
            unfit=dict(selector.unfit.most_common()),
            repeated=selector.repeated,
            others=selector.others,
            recorded=dict(self._recorded.most_common()),
            verdicts=dict(self.verdicts),
            agreement=self.agreement(),
            fields=tuple(ranked[:TOP]),
            errors=dict(self._errors.most_common()),
            then=_latency(self._then),
            now=_latency(self._now),
        )


def shortfalls(report: Report, min_agreement: float | None, min_comparable: float) -> list[str]:
    """What keeps a replay from having succeeded, in sentences; both bounds are fractions of 1.

    `min_comparable` is of all requests asked for, so that a version which fails, or a log which was cut, does not
    pass for one that agrees; it counts only where `min_agreement` is asked for. To have compared nothing is never
    a success.
    """
    if not report.comparable:
        return ["nothing could be compared"]
    if min_agreement is None:
        return []
    found = []
    if report.comparable < min_comparable * report.requests:
        found.append(
            f"too few pairs could be compared: {_part(report.comparable, report.requests, 'requests')};"
            f" --min-comparable asks for {_percent(min_comparable)}"
        )
    matches = report.verdicts["match"]
    if matches < min_agreement * report.comparable:
        found.append(
            f"agreement is {_part(matches, report.comparable, 'pairs')};"
            f" --min-agreement asks for {_percent(min_agreement)}"
        )
    return found


def _problem(pair: Pair) -> str:
    """What makes a pair incomparable, in a few words."""
    if pair.shadow.error:
        return pair.shadow.error
    for difference in pair.differences:
        for side, version in ((difference.shadow, "new"), (difference.primary, "recorded")):
            if side:
                return f"{version} answer: {side}"
    return "incomparable"


def _latency(counts: Counter[int]) -> Latency:
    return Latency(_ms(counts, 0.5), _ms(counts, 0.95))


def _ms(counts: Counter[int], q: float) -> float | None:
    seconds = quantile(Histogram(counts, 0.0), q)
    return None if seconds is None else round(seconds * 1000, 3)


def _part(count: int, of: int, things: str) -> str:
    """`97.99% (9799 of 10000 pairs)`: with the counts, for a share just below its bound may read like it."""
    return f"{_percent(count / of)} ({count} of {of} {things})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g}%"

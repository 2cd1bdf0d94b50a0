"""`router status --watch` on a terminal: the picture of the page, one screen high, a line for a line at each look.

What was a sentence is cut to one line, so that nothing moves but the numbers; `router status NAME` has it whole.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from router.cli.wording import VERDICT_STYLES, milliseconds, moment, percent, plain

BAR = 24
"""Columns of the bar of shares, and of the line of requests a second."""

_RISES = "▁▂▃▄▅▆▇█"
_FILLS = "█▒░"
"""One for each version, so that they are told apart without colours."""

_STYLES = ("blue", "yellow", "magenta")
_NO_BEAT: dict[str, Any] = {"rate": None, "errors": None, "p95": None}

NO_PULSE: dict[str, Any] = {"versions": {}, "line": []}
"""Of a deployment that was not there half a minute ago."""


class Shown(NamedTuple):
    """One deployment: what the API says of it, what it did lately (GET /trends), its headline, its versions' roles."""

    deployment: dict[str, Any]
    pulse: dict[str, Any]
    headline: Text
    roles: dict[str, str]


class Picture:
    """One look at the router, on as many lines as the terminal has: `top`, then all deployments while there is room;
    the first of them in full as far as the others still fit in short."""

    def __init__(self, top: Sequence[Text], shown: Sequence[Shown]) -> None:
        self._top = top
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height

        def rows(*parts: RenderableType) -> list[list[Segment]]:
            return console.render_lines(Group(*parts), options.update(height=None), pad=False)

        lines = rows(*map(one_line, self._top))
        blocks = [rows(short_block_of(each)) for each in self._shown]
        room = height - len(lines) - sum(map(len, blocks))
        for index, each in enumerate(self._shown):
            whole = rows(block_of(each))
            room -= len(whole) - len(blocks[index])
            if room < 0:
                break
            blocks[index] = whole
        for index, block in enumerate(blocks):
            left = len(blocks) - index
            if len(lines) + len(block) + (left > 1) > height:
                lines += rows(Text(f"… and {left} more: router status NAME --watch", "dim"))
                break
            lines += block
        for line in lines[:height]:
            yield from line
            yield Segment.line()


def block_of(shown: Shown) -> RenderableType:
    """Everything about one deployment; as high at each look, unless gates come or go."""
    deployment, pulse, headline, roles = shown
    return Group(
        "",
        one_line(headline),
        shares(deployment, pulse),
        versions(deployment, pulse, roles),
        one_line(Text(f"  waits for {plain(deployment['waits_for'])}")),
        *gates(deployment["gates"]),
        *last_event(deployment["events"]),
    )


def short_block_of(shown: Shown) -> RenderableType:
    """The least there is to see of one deployment."""
    return Group("", one_line(shown.headline), shares(shown.deployment, shown.pulse))


def urgency(deployment: dict[str, Any]) -> int:
    """Where it stands among the others, lowest first: undone or failing, then what somebody has to look at."""
    rulings = deployment["gates"]
    if deployment["phase"] == "rolled_back" or any(each["verdict"] == "fail" for each in rulings):
        return 0
    if deployment["phase"] == "paused" or any(each["verdict"] == "error" or each["hold"] for each in rulings):
        return 1
    return 2


def stale(trouble: str, seconds: float) -> Text:
    """What stands at the top while there is no newer look: why, and how old this one is."""
    return Text(f"STALE for {seconds:.0f} s: {plain(trouble)}", "bold white on red")


def one_line(text: Text) -> Text:
    """The same, cut where the terminal ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def shares(deployment: dict[str, Any], pulse: dict[str, Any]) -> RenderableType:
    """A bar of the versions' shares, what they are, and the requests a second of the last quarter of an hour."""
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=BAR + 2, no_wrap=True)
    row.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    row.add_column(justify="right", no_wrap=True)
    said = "  ".join(f"{version} {percent(share)}" for version, share in deployment["shares"].items())
    line = pulse["line"]
    now = f"{line[-1]:.1f}/s " if line else ""
    row.add_row(
        Text.assemble("  ", bar(deployment["shares"])), Text(said), Text(f"{now}{spark(line):>{BAR}}")
    )
    return row


def bar(parts: dict[str, float]) -> Text:
    """BAR columns, divided as the versions divide the requests; who has any has one at least."""
    columns = [max(round(share * BAR), 1 if share else 0) for share in parts.values()]
    columns[columns.index(max(columns))] += BAR - sum(columns)
    text = Text()
    for number, count in enumerate(columns):
        text.append(_FILLS[number % len(_FILLS)] * count, _STYLES[number % len(_STYLES)])
    return text


def spark(line: Sequence[float], columns: int = BAR) -> str:
    """The newest values as columns of different height, from 0 to the largest of them."""
    newest = line[-columns:]
    top = max(newest, default=0.0)
    return "".join(_RISES[round(value / top * (len(_RISES) - 1)) if top else 0] for value in newest)


def versions(deployment: dict[str, Any], pulse: dict[str, Any], roles: dict[str, str]) -> RenderableType:
    """What each version did in the last half minute, and how often it agrees."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  version", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("", no_wrap=True)
    for heading in ("share", "req/s", "errors", "p95 ms", "agreement"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=7)
    for version, share in deployment["shares"].items():
        beat = pulse["versions"].get(version, _NO_BEAT)
        agreement = deployment["evidence"].get(version, {}).get("agreement")
        table.add_row(
            f"  {version}", roles.get(version, ""), percent(share), _rate(beat["rate"]),
            _errors(beat), milliseconds(beat["p95"]), percent(agreement),
        )  # fmt: skip
    return table


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _errors(beat: dict[str, Any]) -> Text:
    if not beat["rate"]:
        return Text("-")
    part = beat["errors"] / beat["rate"]
    return Text(f"{100 * part:.1f}%", "red" if part else "")


def gates(rulings: list[dict[str, Any]]) -> Iterator[Text]:
    """A line for each gate."""
    for ruling in rulings:
        verdict = ruling["verdict"]
        style = VERDICT_STYLES.get(verdict, "")
        held = " (holds)" if ruling["hold"] and verdict != "fail" else ""
        yield one_line(
            Text.assemble(f"  {ruling['gate']}  ", (f"{verdict}{held}", style), f"  {plain(ruling['why'])}")
        )


def last_event(events: list[dict[str, Any]]) -> Iterator[Text]:
    """The newest event in one line, if there is any."""
    for event in events[:1]:
        why = f": {plain(event['why'])}" if event["why"] else ""
        when = moment(event["when"], time.time())
        yield one_line(Text(f"  {when}  {event['what']} by {plain(event['who'])}{why}", "dim"))

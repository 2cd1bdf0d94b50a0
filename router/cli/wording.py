"""How the commands write numbers, times and the words of others."""

import re
from datetime import datetime
from typing import Any

PHASE_STYLES = {
    "steady": "",
    "progressing": "cyan",
    "paused": "yellow",
    "soaking": "cyan",
    "promoted": "green",
    "rolled_back": "red",
}

VERDICT_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow", "error": "magenta"}

_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def percent(fraction: float | None) -> str:
    """A fraction as a person types it: `5%`; nothing where there is none."""
    return "-" if fraction is None else f"{100 * fraction:.4g}%"


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


def number(count: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def moment(unix: float, now: float) -> str:
    """The local time of day, with the date unless that is today's."""
    when = datetime.fromtimestamp(unix)
    today = when.date() == datetime.fromtimestamp(now).date()
    return when.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def plain(text: Any) -> str:
    """What a client or an operator wrote, in one line, without anything that could steer the terminal."""
    return _BLANK_OR_CONTROL.sub(" ", str(text)).strip()

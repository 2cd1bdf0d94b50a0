"""What the pieces of a notice say about one piece of news: one text for each placeholder. Floor 4, pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from router.config.notify import PLACEHOLDERS

LONGEST = 1000
"""Characters of the reason that are told; chat services refuse longer messages."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def values_of(news: Mapping[str, Any], now: float) -> dict[str, str]:
    """The text for each of PLACEHOLDERS; empty where the event has no such piece. `now` is Unix time."""
    why = _told(news.get("error") or news.get("why") or "")
    share = news.get("share")
    texts = {
        "deployment": news.get("deployment", ""),
        "event": news["event"],
        "phase": news.get("phase", ""),
        "phase_before": news.get("phase_before", ""),
        "share": "" if share is None else f"{100 * share:.4g}%",
        "who": _told(news.get("who", "")),
        "why": why,
        "time": datetime.fromtimestamp(news.get("when", now), UTC).isoformat(timespec="seconds"),
        "generation": news.get("generation", ""),
        "summary": _summary(news, why),
    }
    return {name: str(texts[name]) for name in PLACEHOLDERS}


def _summary(news: Mapping[str, Any], why: str) -> str:
    """`loan: rollback by router: error ratio 4.2 (now rolled_back, candidate at 0%)`"""
    if news["event"] == "config_error":
        return f"the configuration on disk is refused, the one before it stays in force: {why}"
    if "deployment" not in news:
        return f"{news['event']} {news.get('digest', '')}".rstrip()
    by = f" by {_told(news['who'])}" if news.get("who") else ""
    reason = f": {why}" if why else ""
    where = f" (now {news['phase']}, candidate at {100 * news['share']:.4g}%)" if "phase" in news else ""
    return f"{news['deployment']}: {news['event']}{by}{reason}{where}"


def _told(text: str) -> str:
    clean = _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= LONGEST else f"{clean[: LONGEST - 1]}…"

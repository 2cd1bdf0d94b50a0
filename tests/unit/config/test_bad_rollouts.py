"""Every mistake in a rollout, its steps and its gates gets one clear error."""

from pathlib import Path

import pytest

from tests.support.mistakes import (
    CANARY,
    ROLLOUT,
    Mistake,
    Mistakes,
    one_clear_error,
)

SHADOW = "      pattern: shadow\n      primary: v1\n      shadows: [v2]\n"


def gate(written: str, path: str, words: list[str]) -> Mistake:
    """A row with one gate of the rollout."""
    return "      steps:", f"      gates: [{{{written}}}]\n      steps:", 25, f"{ROLLOUT}.gates{path}", words


MISTAKES: Mistakes = {
    "misspelt required key": ("stable:", "stabel:", 22, f"{ROLLOUT}.stabel", ["did you mean `stable`"]),
    "required key missing": ("      stable: v1\n", "", 20, f"{ROLLOUT}.stable", ["required"]),
    "misspelt pattern": (
        "canary",
        "canery",
        21,
        f"{ROLLOUT}.pattern",
        ["shadow", "blue_green", "mean `canary`"],
    ),
    "pattern with a dash": ("canary", "blue-green", 21, f"{ROLLOUT}.pattern", ["did you mean `blue_green`"]),
    "pattern missing": ("pattern: canary", "patern: canary", 20, f"{ROLLOUT}.pattern", ["for `patern`"]),
    "unknown version": (
        "candidate: v2",
        "candidate: v22",
        23,
        f"{ROLLOUT}.candidate",
        ["no such version", "`v2`"],
    ),
    "stable is the candidate": ("candidate: v2", "candidate: v1", 23, f"{ROLLOUT}.candidate", ["`stable`"]),
    "unknown shadow": (
        CANARY,
        SHADOW.replace("[v2]", "[v2, v3]"),
        23,
        f"{ROLLOUT}.shadows[1]",
        ["no such version"],
    ),
    "shadow twice": (CANARY, SHADOW.replace("[v2]", "[v2, v2]"), 23, f"{ROLLOUT}.shadows[1]", ["already"]),
    "primary as shadow": (CANARY, SHADOW.replace("[v2]", "[v1]"), 23, f"{ROLLOUT}.shadows[0]", ["`primary`"]),
    "no shadows": (CANARY, SHADOW.replace("[v2]", "[]"), 23, f"{ROLLOUT}.shadows", ["must not be empty"]),
    "noise": (
        CANARY,
        SHADOW + "      noise: often\n",
        24,
        f"{ROLLOUT}.noise",
        ["noise is true, false or a share", "5% or 0.05"],
    ),
    "unknown colour": (
        CANARY,
        "      pattern: blue_green\n      blue: v1\n      green: v2\n      live: gren\n",
        24,
        f"{ROLLOUT}.live",
        ["blue, green", "did you mean `green`"],
    ),
    "share over 100 %": (
        "share: 5%",
        "share: 105%",
        26,
        f"{ROLLOUT}.steps[0].share",
        ["`105%`", "0% and 100%"],
    ),
    "share without %": ("share: 5%", "share: 5", 26, f"{ROLLOUT}.steps[0].share", ["did you mean 5%"]),
    "falling share": ("share: 50%", "share: 1%", 25, f"{ROLLOUT}.steps", ["lowers the share"]),
    "pause and share": ("pause: true", "pause: true, share: 9%", 27, f"{ROLLOUT}.steps[1]", ["stands alone"]),
    "pause that is none": ("pause: true", "pause: false", 27, f"{ROLLOUT}.steps[1].pause", ["must be true"]),
    "no steps": (
        CANARY[CANARY.index("        - {sh") :],
        "        []\n",
        25,
        f"{ROLLOUT}.steps",
        ["not be empty"],
    ),
    "duration without unit": (
        "hold: 10m",
        "hold: 10",
        26,
        f"{ROLLOUT}.steps[0].hold",
        ["write 10s, 10m or 10h"],
    ),
    "sticky by what it cannot be": (
        "{header: x-user-id}",
        "ip",
        24,
        f"{ROLLOUT}.sticky",
        ["client_ip", "cookie"],
    ),
    "sticky by two things": ("x-user-id", "a, cookie: b", 24, f"{ROLLOUT}.sticky", ["exactly one of"]),
    "misspelt sticky key": ("header: x-", "heder: x-", 24, f"{ROLLOUT}.sticky.heder", ["mean `header`"]),
    "unknown gate": gate(
        "error_rte: {}", "[0].error_rte", ["one of error_rate, latency", "mean `error_rate`"]
    ),
    "misspelt key of a gate": gate(
        "error_rate: {max_rato: 2}", "[0].error_rate.max_rato", ["mean `max_ratio`"]
    ),
    "bound of nothing": gate("error_rate: {max: 0%}", "[0].error_rate.max", ["more than 0", "`0%`"]),
    "bounds that cross": gate("error_rate: {max_ratio: 3}", "[0].error_rate", ["write pass_ratio: 6"]),
    "latency without a bound": gate("latency: {}", "[0].latency", ["give max_ratio, max or both"]),
    "quantile of all": gate("latency: {max: 1s, quantile: 100%}", "[0].latency.quantile", ["50% and 99.9%"]),
    "gate on pairs without pairs": (
        "      steps:",
        "      gates: [{agreement: {min: 98%}}]\n      steps:",
        20,
        ROLLOUT,
        ["agreement judges pairs", "mirror: 10%"],
    ),
    "slice that is not there": gate(
        "segments: {by: region, gate: {error_rate: {}}}",
        "[0].segments.by",
        ["no such slice", "`region`", "add pairs: {slices: {region: {header: x-region}}}"],
    ),
    "gate that calls nobody": gate(
        "webhook: {url: 'checks:443'}", "[0].webhook.url", ["names scheme and host"]
    ),
    "secret of a gate": gate(
        "webhook: {url: 'http://a', headers: {x-key: 12345678}}",
        "[0].webhook.headers.x-key",
        ["must be text", "not shown"],
    ),
    "query without a condition": gate(
        "prometheus: {url: 'http://a', query: up}", "[0].prometheus", ["give max, min"]
    ),
    "certainty": (
        "      steps:",
        "      confidence: 100%\n      steps:",
        25,
        f"{ROLLOUT}.confidence",
        ["99.99%"],
    ),
    "what nobody waits for": (
        "      steps:",
        "      on_inconclusive: pause\n      steps:",
        20,
        ROLLOUT,
        ["needs give_up", "2h"],
    ),
    "gates of a step": (
        "hold: 10m",
        "gates: [{latency: {}}]",
        26,
        f"{ROLLOUT}.steps[0].gates[0].latency",
        ["give max_ratio"],
    ),
    "fallback is neither": (
        "      stable:",
        "      fallback: maybe\n      stable:",
        22,
        f"{ROLLOUT}.fallback",
        ["true or"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_in_a_rollout_is_one_clear_error(name: str, tmp_path: Path) -> None:
    one_clear_error(MISTAKES[name], tmp_path)

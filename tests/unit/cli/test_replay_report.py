from msgspec.structs import replace
from rich.console import Console

from router.cli.replay_report import rendered
from router.pairs.intervals import wilson
from router.pairs.replayed import Latency, Report

REPORT = Report(
    requests=620,
    sent=600,
    seconds=2.5,
    unfit={"request truncated": 13, "header authorization redacted": 7},
    repeated=3,
    others=0,
    recorded={"v1": 590, "v2": 10},
    verdicts={"match": 552, "mismatch": 41, "incomparable": 7},
    agreement=wilson(552, 593),
    fields=(("/outputs/0/data/*", 30), ("status", 11)),
    errors={"timeout": 7},
    then=Latency(2.04, 3.1),
    now=Latency(4.1, 55.55),
)


def text(report: Report) -> list[str]:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(rendered(report))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_everything_that_is_known() -> None:
    assert text(REPORT) == [
        "sent           600 requests of 620 in 2.5 s, 240 a second",
        "compared with  v1 (590), v2 (10)",
        "agreement      93.09%  (95% interval 90.75% to 94.86%)",
        "verdicts       match 552  mismatch 41  incomparable 7",
        "",
        "differs at  /outputs/0/data/*  30 pairs",
        "differs at  status             11 pairs",
        "",
        "latency    then      now",
        "median   2.0 ms   4.1 ms",
        "p95      3.1 ms  55.5 ms",
        "",
        "failed  timeout  7 requests",
        "",
        "not sent  request truncated              13 requests",
        "not sent  header authorization redacted  7 requests",
        "",
        "left out  3 further pairs of the same requests",
    ]


def test_nothing() -> None:
    nothing = Report(
        requests=0, sent=0, seconds=0.0, unfit={}, repeated=0, others=0, recorded={},
        verdicts={"match": 0, "mismatch": 0, "incomparable": 0}, agreement=wilson(0, 0), fields=(), errors={},
        then=Latency(None, None), now=Latency(None, None),
    )  # fmt: skip
    assert text(nothing) == ["sent      0 requests in 0.0 s", "verdicts  match 0  mismatch 0  incomparable 0"]


def test_a_version_with_a_strange_name_steers_no_terminal() -> None:
    assert "\x1b" not in "".join(text(replace(REPORT, recorded={"\x1b]0;x": 1})))

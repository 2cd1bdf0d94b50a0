from typing import Any

from click.testing import CliRunner

from router.cli import main

COMPARISON = "GET /api/v1/deployments/loan/comparison"


def share(share: float | None) -> dict[str, Any]:
    return {"count": 7, "of": 100, "share": share, "low": 0.01, "high": 0.2}


def disagreement(net: float | None) -> dict[str, Any]:
    known = None if net is None else {"share": net, "low": net - 0.01, "high": net + 0.01}
    return {"raw": share(0.07), "noise": None if net is None else share(0.02), "net": known}


def field(name: str, net: float | None = None) -> dict[str, Any]:
    return {"field": name, "count": 70, "examples": ["id-1", "id-2"], "disagreement": disagreement(net)}


def comparison(**changes: Any) -> dict[str, Any]:
    return {
        "primary": "v1",
        "shadow": "v2",
        "agreement": {"share": 0.93, "low": 0.91, "high": 0.945},
        "verdicts": {"match": 930, "mismatch": 70, "incomparable": 3},
        "disagreement": disagreement(None),
        "differences": [field("/label")],
        "noisy": [],
        "slices": {},
        "labels": {},
        "values": None,
    } | changes


def run(
    stub: Any, *comparisons: dict[str, Any], options: tuple[str, ...] = (), **extent: Any
) -> list[list[str]]:
    known = {"pairs": 5, "complete": True, "since": None, "until": None} | extent
    stub.answer(COMPARISON, {"comparisons": list(comparisons)} | known)
    arguments = ["pairs", "stats", "loan", *options, "--admin", stub.url]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def words(text: str) -> list[str]:
    return text.split()


def test_agreement_with_its_interval_and_where_pairs_differ(stub: Any) -> None:
    out = run(stub, comparison())
    assert words("v1 v2 93% 91% to 94.5% 930 70 3") in out
    assert words("v1 and v2 differ at /label in 70 pairs e.g. id-1") in out
    assert not any("noise" in line for line in out)


def test_noise_is_shown_apart(stub: Any) -> None:
    out = run(stub, comparison(disagreement=disagreement(0.05), noisy=[field("/flaky", 0.001)]))
    assert words("v1 v2 7% 2% 5% 4% to 6%") in out
    assert words("v1 and v2 are noisy at /flaky in 70 pairs net 0.1%, -0.9% to 1.1% e.g. id-1") in out


def test_slices_labels_and_numbers(stub: Any) -> None:
    rows = [
        {"value": "north", "verdicts": {"match": 9}, "disagreement": share(0.0), "differs_more": False},
        {"value": "so\x1bth", "verdicts": {"mismatch": 9}, "disagreement": share(1.0), "differs_more": True},
    ]
    values = {"primary_mean": 1, "shadow_mean": 2, "distance_mean": 0.5, "distance_p50": 0.25,
              "distance_p95": 1.5, "distance_p99": 3, "correlation": None}  # fmt: skip
    labels = {"cat -> cat": 50, "cat -> dog": 7, "other": 3}
    out = run(stub, comparison(slices={"region": rows}, labels=labels, values=values))
    assert words("v1 v2 region=north 0% 1% to 20% 9") in out
    assert words("v1 v2 region=so th 100% 1% to 20% 9 differs more") in out
    assert words("v1 v2 cat dog 7") in out
    assert not any(line[2:4] == ["cat", "cat"] for line in out)
    assert words("v1 v2 1 2 0.5 0.25 1.5 3 -") in out


def test_what_was_left_out_is_said(stub: Any) -> None:
    out = run(
        stub, comparison(), complete=False, since="2026-01-01T00:00:00.5Z", until="2026-01-02T00:00:00.5Z"
    )
    assert (
        words(
            "5 pairs from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z; older ones were left out "
            "(--last N or --all reads more)"
        )
        in out
    )


def test_before_there_are_any(stub: Any) -> None:
    assert run(stub) == [["no", "pairs", "yet"]]


def test_where_the_numbers_come_from_can_be_chosen(stub: Any) -> None:
    for options, query in (
        ((), "last=200000"),
        (("--last", "7"), "last=7"),
        (("--all",), "last=all"),
        (("--live",), "source=live"),
    ):
        run(stub, options=options)
        assert stub.asked[-1][1].endswith(f"/comparison?{query}")
    both = CliRunner().invoke(main, ["pairs", "stats", "loan", "--live", "--all", "--admin", stub.url])
    assert both.exit_code == 2

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from click.testing import CliRunner

from router.cli import main
from router.cli.client import Admin, Session
from router.cli.pairs import in_short, news

LOG = "/api/v1/deployments/loan/pairs"


def half(version: str, label: int, error: str | None = None) -> dict[str, Any]:
    return {
        "version": version,
        "endpoint": "http://127.0.0.1:9001",
        "status": 0 if error else 200,
        "latency_ms": None if error else 4.11,
        "error": error,
        "body": {"label": label},
    }


def pair(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "exchange": f"x{number}",
        "time": f"2026-01-01T12:00:{number:02}.123456Z",
        "request": {"method": "POST", "path": "/v2/models/loan/infer", "body": {"inputs": [1, 2]}},
        "primary": half("v1", 1),
        "shadow": half("v2", 0),
        "verdict": "mismatch",
        "differences": [{"at": "/label", "primary": 1, "shadow": 0}],
        "differences_more": 2,
    } | changes


def run(stub: Any, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["pairs", *arguments, "--admin", stub.url], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_what_of_the_log_is_torn_is_named_once(
    stub: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = "a.jsonl: from byte 7 on a line is torn, left out"
    stub.answer(f"GET {LOG}", {"pairs": [pair(1)], "torn": [torn]})
    assert run(stub, "show", "loan")[2] == f"router: {torn}\n"
    monkeypatch.setattr("router.cli.pairs.POLL", 0.0)
    with closing(Admin(stub.url)) as admin:
        looks = news(Session(admin, as_json=True), "loan", None, 1)
        assert [len(fresh) for fresh in islice(looks, 3)] == [1, 0, 0]
    assert capsys.readouterr().err == f"router: {torn}\n"


def test_show_prints_pairs_in_full_the_newest_last(stub: Any) -> None:
    stub.answer(f"GET {LOG}", {"pairs": [pair(2), pair(1)]})
    code, out, _ = run(stub, "show", "loan", "--verdict", "mismatch", "--limit", "2")
    assert code == 0
    assert stub.asked[0][1] == f"{LOG}?limit=2&verdict=mismatch"
    assert out.index("id-1") < out.index("id-2")
    local = datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC).astimezone().strftime("%H:%M:%S")
    assert out.splitlines()[:8] == [
        f"{local}  mismatch      id-1  v1 200 4.1 ms  v2 200 4.1 ms",
        "  request  POST /v2/models/loan/infer",
        '           {"inputs": [1, 2]}',
        "  v1       http://127.0.0.1:9001",
        '           {"label": 1}',
        "  v2       http://127.0.0.1:9001",
        '           {"label": 0}',
        "  differs  /label: 1 -> 0",
    ]
    assert "and in 2 more places" in out


def test_a_difference_that_does_not_fit_gets_its_own_line() -> None:
    assert in_short(pair(1), 100).plain.endswith("v2 200 4.1 ms  /label: 1 -> 0 and 2 more")
    assert in_short(pair(1), 70).plain.endswith("v2 200 4.1 ms\n          /label: 1 -> 0 and 2 more")
    assert "\n" not in in_short(pair(1, differences=[], differences_more=0), 10).plain


def test_an_id_a_client_made_up_steers_no_terminal() -> None:
    assert "\x1b" not in in_short(pair(1, id="\x1b]0;gotcha\x07"), 80).plain


def test_a_name_in_an_answer_steers_no_terminal() -> None:
    named = [{"at": "/who\x1b]0;gotcha\x07", "primary": 1, "shadow": 0}]
    assert "\x1b" not in in_short(pair(1, differences=named), 80).plain


def test_a_half_that_is_missing_says_so(stub: Any) -> None:
    lost = pair(1, shadow=half("v2", 0, "timeout"), verdict="incomparable", differences=[], request=None)
    stub.answer(f"GET {LOG}", {"pairs": [lost]})
    out = run(stub, "show", "loan")[1]
    assert "v1 200 4.1 ms  v2 timeout" in out


def test_show_finds_a_request_by_its_id(stub: Any) -> None:
    stub.answer_in_turn(f"GET {LOG}", {"pairs": [pair(7)]}, {"pairs": []})
    assert "id-7" in run(stub, "show", "loan", "id-7")[1]
    assert stub.asked[0][1] == f"{LOG}?limit=5&id=id-7"
    code, out, err = run(stub, "show", "loan", "gone")
    assert (code, out) == (1, "")
    assert err == "router: no such pair of a request 'gone' is in the log of loan\n"


def test_tail_shows_each_pair_once_and_ends_cleanly(stub: Any) -> None:
    same_request = pair(2, shadow=half("v3", 1))
    stub.answer_in_turn(
        f"GET {LOG}",
        {"pairs": [pair(1), pair(0)]},
        {"pairs": [same_request, pair(2), pair(1), pair(0)]},
        {"pairs": [pair(3), same_request, pair(2), pair(1)]},
    )
    command = [sys.executable, "-m", "router.cli", "pairs", "tail", "loan", "--limit", "1", "--json"]
    with subprocess.Popen(
        [*command, "--admin", stub.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = [json.loads(process.stdout.readline()) for _ in range(4)]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
    assert [(one["id"], one["shadow"]["version"]) for one in shown] == [
        ("id-1", "v2"), ("id-2", "v2"), ("id-2", "v3"), ("id-3", "v2"),
    ]  # fmt: skip

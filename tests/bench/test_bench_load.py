"""What wrk reports, read."""

import pytest

from bench.load import Asked, command, parse

REPORT = """Running 2s test @ http://127.0.0.1:18910/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   812.15us  402.50us   9.63ms   91.43%
    Req/Sec    40.11k     3.02k   44.30k    80.95%
  Latency Distribution
     50%  765.00us
     75%    0.93ms
     90%    1.15ms
     99%    2.31ms
  83821 requests in 2.10s, 27.98MB read
Requests/sec:  39915.25
Transfer/sec:     13.32MB
"""


def test_a_report_is_read_in_ms_and_seconds() -> None:
    seen = parse(REPORT)
    assert (seen.requests, seen.seconds, seen.errors) == (83821, 2.1, 0)
    assert (seen.p50, seen.p99) == (0.765, 2.31)


def test_answers_that_are_no_success_and_broken_connections_are_errors() -> None:
    lines = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\n"
    assert parse(REPORT.replace("Requests/sec", f"{lines}Requests/sec")).errors == 60


def test_long_runs_are_told_in_minutes() -> None:
    assert parse(REPORT.replace("2.10s", "1.50m")).seconds == 90


def test_seconds_and_microseconds_are_not_mixed_up() -> None:
    seen = parse(REPORT.replace("765.00us", "1.20s").replace("2.31ms", "10.50us"))
    assert (seen.p50, seen.p99) == (1200, 0.0105)


def test_a_report_without_a_total_says_what_it_was() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_the_command_is_pinned_and_bounded() -> None:
    words = command(Asked(80, "/d-%d/x", 8, 1000, 5), seconds=3, core=0)
    assert words[:4] == ["taskset", "-c", "0", "wrk"]
    assert "-d3s" in words
    assert words[-4:] == ["--", "/d-%d/x", "1000", "5"]

"""`router replay` over real segments, against servers on real sockets."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from router.cli import main
from tests.support.pairlogs import pair, recorded, write, written
from tests.support.upstreams import Upstream, read_request, scripted
from tests.support.workers import until


def labelling(wrong: int = 0, delay: float = 0.0) -> Upstream:
    """A model that answers the label of the log, but for the first so many numbers."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            await asyncio.sleep(delay)
            number = json.loads(seen.body)["number"]
            body = json.dumps({"label": 7 if number < wrong else number % 2}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    upstream = Upstream(handler)
    return upstream


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "pairs")


async def replay(*arguments: Any) -> Result:
    def invoke() -> Result:
        return CliRunner().invoke(main, ["replay", *map(str, arguments)], env={"COLUMNS": "80"})

    return await asyncio.to_thread(invoke)


async def test_a_version_that_answers_the_same(log: Path) -> None:
    async with labelling() as server:
        result = await replay(log, "--against", server.url, "--min-agreement", "100%")
    assert result.exit_code == 0, result.output
    assert sorted(json.loads(seen.body)["number"] for seen in server.requests) == list(range(20))
    assert {seen.line for seen in server.requests} == {b"POST /v2/models/loan/infer HTTP/1.1"}
    assert {seen.get(b"x-router-shadow") for seen in server.requests} == {b"replay"}
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["sent", "20", "requests"] in [line[:3] for line in lines]
    assert ["agreement", "100%"] in [line[:2] for line in lines]
    assert ["verdicts", "match", "20", "mismatch", "0", "incomparable", "0"] in lines
    assert ["median", "2.0", "ms"] in [line[:3] for line in lines]
    assert result.stderr == ""


async def test_a_version_that_differs_too_much_fails(log: Path) -> None:
    async with labelling(wrong=3) as server:
        result = await replay(log, "--against", server.url, "--min-agreement", "98%")
        enough = await replay(log, "--against", server.url, "--min-agreement", "85%")
    assert result.exit_code == 1
    assert "differs at  /label  3 pairs" in result.stdout
    assert result.stderr == "router: agreement is 85% (17 of 20 pairs); --min-agreement asks for 98%\n"
    assert enough.exit_code == 0


async def test_a_comparator_of_ones_own(log: Path, tmp_path: Path) -> None:
    (tmp_path / "compare.yaml").write_text("json: {ignore: [/label]}\n")
    async with labelling(wrong=20) as server:
        for compare in ("json: {ignore: [/label]}", str(tmp_path / "compare.yaml")):
            result = await replay(
                log, "--against", server.url, "--compare", compare, "--min-agreement", "100%"
            )
            assert result.exit_code == 0, result.output


async def test_a_configuration_says_where_how_and_what_to_redact(log: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "router.yaml", tmp_path / "out.jsonl"
    config.write_text(
        f"pairs: {{path: {log.parent}}}\ndeployments:\n  loan:\n    match: {{path: /x}}\n"
        "    versions: {v1: {url: 'http://h:1'}}\n"
        "    pairs: {compare: {json: {ignore: [/label]}}, redact: {response: [/label]}}\n"
    )
    async with labelling(wrong=20) as server:
        result = await replay("loan", "--config", config, "--against", server.url, "--out", out)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert {each["verdict"] for each in found} == {"match"}
    assert {each["shadow"]["body"]["label"] for each in found} == {"[redacted]"}


async def test_what_is_written_is_a_pair_log(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.jsonl"
    async with labelling(wrong=3) as server:
        assert (await replay(log, "--against", server.url, "--out", out, "--as", "v9")).exit_code == 0
        again = await replay(out, "--against", server.url, "--json")
    found = [json.loads(line) for line in out.read_text().splitlines()]
    original = json.loads((log / "2.jsonl").read_text().splitlines()[0])
    assert found[0].keys() == original.keys()
    assert {each["shadow"]["version"] for each in found} == {"v9"}
    assert sorted(each["verdict"] for each in found) == ["match"] * 17 + ["mismatch"] * 3
    assert json.loads(again.stdout)["sent"] == 20


async def test_json_says_it_all(log: Path) -> None:
    async with labelling(wrong=3) as server:
        result = await replay(log, "--against", server.url, "--json", "--min-agreement", "98%")
    report = json.loads(result.stdout)
    assert (report["requests"], report["sent"], report["comparable"]) == (20, 20, 20)
    assert report["verdicts"] == {"match": 17, "mismatch": 3, "incomparable": 0}
    assert report["agreement"]["share"] == 0.85
    assert report["fields"] == [["/label", 3]]
    assert report["then"]["median_ms"] == pytest.approx(2.0, rel=0.03)
    assert report["failures"] == ["agreement is 85% (17 of 20 pairs); --min-agreement asks for 98%"]


async def test_limit_and_selection(log: Path) -> None:
    async with labelling() as server:
        assert (
            "sent           7 requests in"
            in (await replay(log, "--against", server.url, "--limit", 7)).stdout
        )
        await replay(log, "--against", server.url, "--verdict", "mismatch")
        later = await replay(log, "--against", server.url, "--since", "2026-01-01")
        other = await replay(log, "--against", server.url, "--primary", "v9")
    assert len(server.requests) == 7 + 5
    assert later.exit_code == 1
    assert later.stderr == "router: nothing could be compared\n"
    assert "left out  20 pairs answered by another version" in other.stdout


async def test_what_cannot_be_sent_is_counted_by_reason(tmp_path: Path) -> None:
    from msgspec.structs import replace

    live, other = recorded(1, 1, 1)
    assert live.request is not None
    secret = replace(live.request.message, headers=((b"Authorization", b"Bearer x"),))
    cut = replace(live.request.message, truncated=True)
    directory = write(
        tmp_path, "loan",
        [
            pair(replace(live, exchange=f"{name}", request=replace(live.request, message=message)), other)
            for name, message in (("a", live.request.message), ("b", secret), ("c", cut), ("d", cut))
        ],
    )  # fmt: skip
    async with labelling() as server:
        result = await replay(directory, "--against", server.url, "--min-agreement", "50%")
        given = await replay(
            directory, "--against", server.url, "--header", "authorization: Bearer y", "--min-agreement", "50%",
            "--min-comparable", "50%",
        )  # fmt: skip
    assert "not sent  request truncated              2 requests" in result.stdout
    assert "not sent  header authorization redacted  1 request" in result.stdout
    assert "sent           1 request of 4" in result.stdout
    assert result.exit_code == 1
    assert "too few pairs could be compared: 25% (1 of 4 requests)" in result.stderr
    assert given.exit_code == 0
    assert [seen.get(b"authorization") for seen in server.requests] == [None, b"Bearer y", b"Bearer y"]


async def test_failures_are_counted_by_kind(log: Path) -> None:
    async with scripted(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", None) as server:
        result = await replay(log, "--against", server.url, "--min-agreement", "90%")
    assert "failed  upstream_reset" in result.stdout
    assert "differs at  status" in result.stdout
    assert result.exit_code == 1


async def test_nobody_there_is_said_at_once(log: Path) -> None:
    write(log.parent, "loan", [pair(*recorded(number, 1, 1)) for number in range(100, 400)], "3")
    async with labelling() as server:
        url = server.url
    result = await replay(log, "--against", url)
    assert result.exit_code == 1
    assert result.stderr == f"router: {url} took none of 50 connections in a row\n"
    assert "failed  connect_failed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["{log}"], 2, "Missing option '--against'"),
        (["{log}", "--against", "h:1"], 2, "a URL names scheme and host"),
        (["{log}", "--against", "http://h:1", "--compare", "jsn"], 2, "Invalid value for '--compare'"),
        (["{log}", "--against", "http://h:1", "--min-agreement", "98"], 2, "did you mean 98%?"),
        (["{log}", "--against", "http://h:1", "--header", "x"], 2, "write NAME:VALUE"),
        (["{log}", "--against", "http://h:1", "--rate", "0"], 2, "Invalid value for '--rate'"),
        (["{log}x", "--against", "http://h:1"], 1, "there is no pair log at"),
        (
            ["{log}", "--against", "http://h:1", "--out", "{log}/2.jsonl"],
            1,
            "is one of the segments to replay",
        ),
        (["{log}", "--against", "http://h:1", "--out", "{log}/x/y"], 1, "No such file or directory"),
    ],
)
async def test_wrong_usage(log: Path, arguments: list[str], code: int, complaint: str) -> None:
    result = await replay(*(argument.format(log=log) for argument in arguments))
    assert (result.exit_code, result.stdout) == (code, "")
    assert complaint in result.stderr


async def test_a_disk_that_is_full_is_said(log: Path) -> None:
    async with labelling() as server:
        result = await replay(log, "--against", server.url, "--out", "/dev/full")
    assert (result.exit_code, result.stderr) == (1, "router: /dev/full: No space left on device\n")


async def test_a_deployment_that_the_configuration_lacks(log: Path, tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    config.write_text("deployments: {embed: {match: {path: /x}, versions: {v1: {url: 'http://h:1'}}}}\n")
    async with labelling() as server:
        result = await replay(log, "--config", config, "--against", server.url)
    assert result.exit_code == 1
    assert result.stderr == "router: these are pairs of loan, and --config has no such deployment\n"


async def test_ctrl_c_prints_the_summary_so_far(log: Path) -> None:
    async with labelling(delay=0.01) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router.cli", "replay", str(log), "--against", server.url, "--rate", "10",
            "--min-agreement", "98%", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await until(lambda: len(server.requests) >= 5, 20, "five requests")
        os.kill(process.pid, signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130
    assert b" of 20 in " in out
    assert b"agreement" in out
    assert err == b"router: interrupted\n"
    assert len(server.requests) < 20

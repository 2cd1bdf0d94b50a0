"""What a running router recorded, replayed against the version that had answered, and against another."""

import asyncio
import json
import sys
from pathlib import Path

from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import model


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_recorded_traffic_again(tmp_path: Path) -> None:
    """Recorded under shadow, then the log of the running router is replayed, exported and asked."""
    shadow = "{pattern: shadow, primary: v1, shadows: [v2]}"
    async with model("a") as v1, model("b") as v2:
        rules = {"m": deployment(shadow, v1=v1.url, v2=v2.url)}
        async with Router(tmp_path, rules) as router:
            async with Load(router.port, clients=4) as load:
                await load.more(60)
            count = len(load.sent)

            async def all_written() -> bool:
                return len(router.pairs()) == count

            await router.comes_true(all_written, "every pair in the log", 20)
            asked = len(v1.requests)
            config = ("--config", str(router.file))
            same = await run("replay", "m", *config, "--against", v1.url, "--min-agreement", "100%", "--json")
            other = await run("replay", "m", *config, "--against", v2.url, "--min-agreement", "98%")
            exported = await run("pairs", "export", "m", *config, "--columns", "id,verdict")
            answer = await run("pairs", "sql", "select verdict, count(*) n from pairs group by 1", "m", *config,
                               "--format", "json")  # fmt: skip
    assert same[0] == 0, same
    report = json.loads(same[1])
    assert (report["sent"], report["requests"], report["verdicts"]["match"]) == (count, count, count)
    again = v1.requests[asked:]
    assert sorted(seen.get(b"x-request-id") or b"" for seen in again) == sorted(
        each.id.encode() for each in load.sent
    )
    assert {(seen.line, seen.body) for seen in again} == {(b"POST /m/x HTTP/1.1", load.body)}
    assert {seen.get(b"x-router-shadow") for seen in again} == {b"replay"}
    assert other[0] == 1
    assert "agreement is 0%" in other[2]
    assert "/model" in other[1]
    assert len(exported[1].splitlines()) == count
    assert json.loads(answer[1]) == {"verdict": "mismatch", "n": count}

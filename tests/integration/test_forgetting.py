"""A subject is erased from a running router: open, closed and packed files, and the spool."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.support.routers import Router, ask, canary, deployment
from tests.support.upstreams import model
from tests.support.workers import until

SECRET = "4711-hunter2"
ROLLOUT = canary("{share: 0%, mirror: 100%}", ", sticky: {header: x-user}")
PAIRS = (
    'pairs: {hash: {key: "${ROUTER_HASH_KEY}", headers: [x-user], query: [token]}, '
    "redact: {request: [/name], response: [/name]}, slices: {region: {header: x-region}}}"
)
KEY = "0123456789abcdef0123456789abcdef"


def everything_on_disk(root: Path) -> bytes:
    """Every byte under the pair log's root, packed files unpacked."""
    found = b""
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += (
                zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
                if path.name.endswith(".zst")
                else data
            )
    return found


def erase(router: Router, key: str, *options: str, name: str = "m") -> dict[str, Any]:
    admin = f"http://127.0.0.1:{router.admin_port}"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "router.cli",
            "pairs",
            "erase",
            *([name] if name else []),
            "--key",
            "-",
            "--json",
            "--admin",
            admin,
            *options,
        ],
        input=f"{key}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def send(router: Router, subject: str, count: int = 1) -> None:
    for number in range(count):
        answer = await ask(
            router.port,
            f"/m/x?token={SECRET}&n={number}",
            f"x-user: {subject}",
            f"x-region: {'north' if number % 2 else 'south'}",
        )
        assert answer.status == 200


async def recorded(router: Router, count: int) -> None:
    await router.comes_true(lambda: _has(router, count), f"{count} pairs in the log")


async def _has(router: Router, count: int) -> bool:
    return len(router.pairs()) == count


async def test_a_subject_is_erased_everywhere_and_the_others_stay(tmp_path: Path) -> None:
    async with model("v1") as v1, model("v2") as v2:
        body = deployment(ROLLOUT, more=PAIRS, v1=v1.url, v2=v2.url)
        async with Router(tmp_path, {"m": body}, environ={"ROUTER_HASH_KEY": KEY}) as router:
            await send(router, "alice", 3)
            await send(router, "bob", 4)
            await recorded(router, 7)
            first = await asyncio.to_thread(erase, router, "nobody")
            assert (first["removed"], first["unattributed"], first["busy"]) == (0, 0, 0)
            await send(router, "alice", 2)
            await recorded(router, 9)
            ((alice, count),) = Counter(pair["subject"] for pair in router.pairs()).most_common(1)
            assert count == 5
            done = await asyncio.to_thread(erase, router, "alice")
            assert (done["removed"], done["unattributed"], done["busy"]) == (5, 0, 0)
            assert alice.encode() not in everything_on_disk(tmp_path / "pairs")
            assert len(router.pairs()) == 4
            await send(router, "alice", 1)  # a request after that is a new record
            await recorded(router, 5)
            for secret in (b"alice", b"bob", SECRET.encode(), KEY.encode()):
                assert secret not in everything_on_disk(tmp_path / "pairs")
                assert secret not in router.log.read_bytes()
            shown = json.dumps(await router.get("/api/v1/config"))
            shown += json.dumps(await router.get("/api/v1/deployments/m"))
            shown += json.dumps(await router.get("/api/v1/deployments/m/pairs"))
            shown += json.dumps(await router.get("/api/v1/deployments/m/comparison"))
            for text in ("alice", "bob", SECRET, KEY):
                assert text not in shown
            report = await router.get("/api/v1/deployments/m/comparison")
            (trial,) = report["comparisons"]
            assert [each["value"] for each in trial["slices"]["region"]] == ["south", "north"]


@pytest.mark.slow
async def test_what_an_edit_took_out_of_the_file_is_erased_still(tmp_path: Path) -> None:
    """By name, and without one from every log; also by a recorder that never knew the deployment."""
    async with model("v1") as v1, model("v2") as v2:
        body = deployment(ROLLOUT, more=PAIRS, v1=v1.url, v2=v2.url)
        async with Router(tmp_path, {"m": body}, environ={"ROUTER_HASH_KEY": KEY}) as router:
            for subject in ("alice", "bob", "carol"):
                await send(router, subject, 2)
            await recorded(router, 6)
            other = deployment(ROLLOUT, path="/other/**", v1=v1.url, v2=v2.url)
            router.deployments = {"other": other}
            router.write()
            await router.comes_true(lambda: _is_gone(router), "the edit")
            done = await asyncio.to_thread(erase, router, "alice")
            assert (done["removed"], len(router.pairs())) == (2, 4)
            (old,) = router.children("router.recorder")
            os.kill(old, signal.SIGKILL)
            await until(lambda: router.children("router.recorder") not in ([], [old]), 10, "another recorder")
            assert (await asyncio.to_thread(erase, router, "bob"))["removed"] == 0, "its key is in no file"
            done = await asyncio.to_thread(erase, router, "bob", "--hash-key", KEY)
            assert (done["removed"], len(router.pairs())) == (2, 2)
            done = await asyncio.to_thread(erase, router, "carol", "--hash-key", KEY, name="")
            assert (done["removed"], router.pairs()) == (2, [])


async def _is_gone(router: Router) -> bool:
    status, _ = await asyncio.to_thread(router.call, "GET", "/api/v1/deployments/m")
    return status == 404


async def test_who_cannot_be_told_apart_cannot_be_erased(tmp_path: Path) -> None:
    rollout = canary("{share: 0%, mirror: 100%}", ", sticky: client_ip")
    async with (
        model("v1") as v1,
        model("v2") as v2,
        Router(tmp_path, {"m": deployment(rollout, v1=v1.url, v2=v2.url)}) as router,
    ):
        status, answer = await asyncio.to_thread(
            router.call, "POST", "/api/v1/deployments/m/pairs/erase", {"key": "alice"}
        )
        assert status == 409
        assert "set pairs.subject" in answer["detail"]


@pytest.mark.slow
async def test_closed_and_packed_files_are_treated_too_and_retention_goes_on(tmp_path: Path) -> None:
    async with model("v1") as v1, model("v2") as v2:
        router = Router(tmp_path, {"m": deployment(ROLLOUT, v1=v1.url, v2=v2.url)})
        rotating = router.text().replace(f"{tmp_path}/pairs", f"{tmp_path}/pairs, rotate: {{every: 500ms}}")
        router.write(rotating)
        async with router:
            await send(router, "alice", 2)
            await send(router, "bob", 2)
            await recorded(router, 4)
            log = tmp_path / "pairs" / "m"
            await until(lambda: list(log.glob("*.zst")), 10, "a packed file")
            await send(router, "alice", 1)
            await recorded(router, 5)
            done = await asyncio.to_thread(erase, router, "alice")
            assert (done["removed"], done["busy"]) == (3, 0)
            assert b"alice" not in everything_on_disk(tmp_path / "pairs")
            assert {pair["request"]["headers"]["x-user"] for pair in router.pairs()} == {"bob"}
            assert not list(log.glob(".*")), "nothing is left beside the files"


@pytest.mark.slow
async def test_a_recorder_that_dies_meanwhile_says_so_and_asking_again_erases(tmp_path: Path) -> None:
    """The copy does not answer, so the subject's half waits in the spool while the recorder is killed."""
    async with (
        model("v1") as v1,
        model("v2", delay=4.0) as v2,
        Router(tmp_path, {"m": deployment(ROLLOUT, v1=v1.url, v2=v2.url)}) as router,
    ):
        await send(router, "alice", 1)
        spool = tmp_path / "pairs" / ".spool"
        await until(lambda: any(path.stat().st_size for path in spool.glob("*.spool")), 10, "a spooled half")
        status, begun = await asyncio.to_thread(
            router.call, "POST", "/api/v1/deployments/m/pairs/erase", {"key": "alice"}
        )
        assert (status, begun["finished"]) == (200, False)
        (recorder,) = router.children("router.recorder")
        os.kill(recorder, signal.SIGKILL)
        path = f"/api/v1/deployments/m/pairs/erase/{begun['number']}"
        await router.comes_true(lambda: _finished(router, path), "the end of the erasure")
        assert (await router.get(path))["error"].startswith("the recorder ended")
        await until(
            lambda: router.children("router.recorder") not in ([], [recorder]), 10, "another recorder"
        )
        done = await asyncio.to_thread(erase, router, "alice")
        assert (done["error"], len(router.pairs())) == ("", 0)
        assert b"alice" not in everything_on_disk(tmp_path / "pairs")


async def _finished(router: Router, path: str) -> bool:
    return bool((await router.get(path))["finished"])

"""Pairs, comparisons and erasures over real sockets."""

import json
from pathlib import Path

import pytest

from router.channel import Erase, Erasing
from router.pairs.settings import PairSettings, SubjectSource
from tests.support.admin import Api


def write_pairs(tmp_path: Path, *verdicts: str) -> None:
    half = {"version": "v1", "endpoint": "", "status": 200, "latency_ms": 2.0, "error": ""}
    directory = tmp_path / "pairs" / "loan"
    directory.mkdir(parents=True)
    lines = [
        {
            "id": f"r{n}",
            "exchange": f"x{n}",
            "time": f"2026-01-01T00:00:{n:02}.000000Z",
            "verdict": verdict,
            "score": 1.0 if verdict == "match" else 0.0,
            "primary": half,
            "shadow": half | {"version": "v2"},
            "differences": [{"at": "/a", "primary": 1, "shadow": 2}] if verdict == "mismatch" else [],
        }
        for n, verdict in enumerate(verdicts)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "20260101T000000Z-000001.jsonl").write_text(text)


async def test_pairs_come_newest_first_by_verdict_and_limit(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "mismatch", "match", "mismatch")

    async def ids(query: str) -> list[str]:
        return [pair["id"] for pair in (await api.get(f"deployments/loan/pairs{query}"))["pairs"]]

    assert await ids("") == ["r3", "r2", "r1", "r0"]
    assert await ids("?limit=1") == ["r3"]
    assert await ids("?verdict=mismatch&limit=5") == ["r3", "r1"]
    assert await ids("?id=r2") == ["r2"]
    assert await ids("?field=/a&limit=1") == ["r3"]
    assert await ids("?field=/b") == []
    status, problem = await api.call("GET", "deployments/loan/pairs?verdict=maybe")
    assert (status, "mismatch" in problem["known"]) == (400, True)


async def test_the_comparison_sums_them_up(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "match", "match", "mismatch")
    (shown,) = (await api.get("deployments/loan/comparison"))["comparisons"]
    assert (shown["primary"], shown["shadow"], shown["agreement"]["share"]) == ("v1", "v2", 0.75)
    assert shown["verdicts"]["mismatch"] == 1
    assert shown["fields"] == [["/a", 1]]
    assert [each["field"] for each in shown["differences"]] == ["/a"]


async def test_a_comparison_says_what_it_looked_at(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "mismatch")
    for query in ("", "?last=1", "?last=all", "?source=log"):
        shown = await api.get(f"deployments/loan/comparison{query}")
        assert (shown["pairs"], shown["complete"]) == (2, True)
        assert (shown["since"], shown["until"]) == (
            "2026-01-01T00:00:00.000000Z",
            "2026-01-01T00:00:01.000000Z",
        )
    assert (await api.get("deployments/loan/comparison?source=live"))["comparisons"] == [], (
        "as the recorder counted"
    )
    for query, word in (("?last=0", "last"), ("?last=x", "last"), ("?source=page", "source")):
        status, problem = await api.call("GET", f"deployments/loan/comparison{query}")
        assert status == 400
        assert problem["detail"].startswith(word)


async def test_what_of_the_log_is_torn_is_named(api: Api, tmp_path: Path) -> None:
    write_pairs(tmp_path, "match", "mismatch")
    (path,) = (tmp_path / "pairs" / "loan").iterdir()
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"id": "torn')
    for what in ("pairs", "comparison"):
        shown = await api.get(f"deployments/loan/{what}")
        assert shown["torn"] == [f"{path}: from byte {whole} on a line is torn, left out"]


async def test_a_subject_is_erased_by_its_key_which_nobody_shows(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    erase = "deployments/loan/pairs/erase"
    status, problem = await api.call("POST", erase, {"key": "alice"})
    assert (status, api.orders) == (409, []), "nothing says whose records they are"
    assert "set pairs.subject" in problem["detail"]
    loan = api.config.deployments["loan"]
    pairs = PairSettings(subject=SubjectSource(header="x-user"))
    api.config = api.config.model_copy(
        update={"deployments": {**api.config.deployments, "loan": loan.model_copy(update={"pairs": pairs})}}
    )
    await api.reload()
    with caplog.at_level("INFO"):
        status, begun = await api.call("POST", erase, {"key": "alice"})
    assert (status, begun["finished"], "type" in begun) == (200, False, False)
    assert api.orders == [Erase(begun["number"], "loan", "alice")]
    assert "alice" not in caplog.text + json.dumps(begun)
    api.erasures.take(Erasing(begun["number"], removed=2, finished=True))
    assert (await api.get(f"{erase}/{begun['number']}"))["removed"] == 2
    everywhere = await api.call("POST", "pairs/erase", {"key": "alice", "hash_key": "older"})
    assert api.orders[-1] == Erase(everywhere[1]["number"], "", "alice", "older")
    assert (await api.get(f"pairs/erase/{everywhere[1]['number']}"))["number"] == everywhere[1]["number"]
    for path, expected in ((f"{erase}/99", 404), (f"{erase}/x", 400), ("pairs/erase/99", 404)):
        assert (await api.call("GET", path))[0] == expected
    assert (await api.call("POST", "deployments/nobody/pairs/erase", {"key": "alice"}))[0] == 404
    for body in ({}, {"key": ""}, {"key": 1}, {"key": "a", "more": 1}):
        assert (await api.call("POST", erase, body))[0] == 400


async def test_without_pairs_there_is_nothing_to_see(api: Api) -> None:
    assert (await api.get("deployments/loan/pairs"))["pairs"] == []
    assert (await api.get("deployments/loan/comparison"))["comparisons"] == []

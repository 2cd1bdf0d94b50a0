"""The other promises on the running program: pairs, doors and secrets, counts, and the end.

Rollback, shadows and shares are in test_promise_*.py; promise 5 (what survives) and the faults in tests/faults;
promise 6 (framing) in tests/rfc.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.routers import HALF, Load, Router, ask, deployment
from tests.support.upstreams import Upstream, model, read_request
from tests.support.workers import connect, read_answer, until

# 4. Pairs


async def test_every_copied_exchange_is_a_pair_on_disk_or_counted_as_dropped(tmp_path: Path) -> None:
    rollout = "{pattern: shadow, primary: v1, shadows: [v2, v3]}"
    async with (
        model("v1") as one,
        model("v2") as two,
        model("v1") as three,
        Router(tmp_path, {"m": deployment(rollout, v1=one.url, v2=two.url, v3=three.url)}) as router,
    ):
        async with Load(router.port, clients=8, pause=0.005) as load:
            # On a busy machine the workers may be there before the recorder is: that is counted, and passes.
            await router.comes_true(lambda: _none_dropped(router), "a recorder that takes everything")
            whole_since = asyncio.get_running_loop().time()
            await load.more(200)
        assert load.failures == []
        wanted = {(each.id, shadow) for each in load.since(whole_since) for shadow in ("v2", "v3")}
        await until(lambda: wanted <= _exchanges(router.pairs()), what="all pairs on disk")
        pairs = router.pairs()
        assert len(pairs) == len(_exchanges(pairs)), "none twice"
        assert {(pair["shadow"]["version"], pair["verdict"]) for pair in pairs if pair["shadow"]} == {
            ("v2", "mismatch"),
            ("v3", "match"),
        }
        dropped = sum((await _drops(router)).values())
        assert len(pairs) == 2 * len(load.sent) or dropped
        label = 'router_pairs_total{deployment="m",primary="v1",shadow="v3",verdict="match"}'
        matches = sum(pair["verdict"] == "match" for pair in pairs)
        await router.comes_true(lambda: _is(router, label, matches), "the count of pairs")


def _exchanges(pairs: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(pair["id"], (pair["shadow"] or {"version": ""})["version"]) for pair in pairs}


async def _drops(router: Router) -> dict[str, float]:
    return {name: value for name, value in (await router.metrics()).items() if "_dropped_total" in name}


async def _none_dropped(router: Router) -> bool:
    """For longer than it takes a count to arrive."""
    before = await _drops(router)
    await asyncio.sleep(0.6)
    return await _drops(router) == before


async def _is(router: Router, name: str, value: float) -> bool:
    return await router.metric(name) == value


# 7. Who may, and what is told


async def test_beyond_loopback_the_admin_api_does_not_start_without_tokens(tmp_path: Path) -> None:
    router = Router(tmp_path, {"m": deployment(v1="http://127.0.0.1:1")})
    router.write(router.text().replace(f"127.0.0.1:{router.admin_port}", f"0.0.0.0:{router.admin_port}"))
    try:
        with pytest.raises(AssertionError, match="is reachable from outside"):
            await router.start()
        assert router.process.wait(20) == 2
    finally:
        router.end()


SECRETS = ("operator-s3cret", "viewer-s3cret", "bearer-s3cret", "card-s3cret", "answer-s3cret")


async def test_tokens_have_roles_and_secrets_show_nowhere(tmp_path: Path) -> None:
    rollout = "{pattern: shadow, primary: v1, shadows: [v2]}"
    redact = "pairs: {redact: {request: [/card], response: [/secret], headers: [authorization]}}"

    def telling() -> Upstream:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while (await read_request(reader)) is not None:
                body = b'{"secret": "answer-s3cret", "y": 1}'
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                writer.write(head % len(body) + body)

        return Upstream(handler)

    async with telling() as one, telling() as two:
        router = Router(tmp_path, {"m": deployment(rollout, more=redact, v1=one.url, v2=two.url)})
        router.extra = (
            f"admin:\n  listen: 0.0.0.0:{router.admin_port}\n  tokens:\n"
            '    - {name: op, token: "${OPERATOR}", role: operator}\n'
            "    - {name: look, token: viewer-s3cret, role: viewer}\n"
        )
        router.token = "operator-s3cret"
        router.environ = {"OPERATOR": "operator-s3cret"}
        router.write()
        async with router:
            base = "/api/v1/deployments"
            assert router.call("GET", base, token="")[0] == 401
            assert router.call("GET", base, token="wrong-token")[0] == 401
            assert router.call("GET", "/metrics", token="")[0] == 401
            assert router.call("GET", "/healthz", token="")[0] == 200
            assert router.call("GET", "/readyz", token="")[0] == 200
            assert router.call("GET", base, token="viewer-s3cret")[0] == 200
            for action in ("rollback", "promote", "pause", "resume", "restart", "share", "switch"):
                assert router.call("POST", f"{base}/m/{action}", token="viewer-s3cret")[0] == 403
            assert router.call("POST", "/api/v1/config/reload", token="viewer-s3cret")[0] == 403
            reader, writer = await connect(router.port)
            body = b'{"card": "card-s3cret"}'
            head = b"POST /m/x HTTP/1.1\r\nhost: t\r\nauthorization: Bearer bearer-s3cret\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            assert b"answer-s3cret" in (await read_answer(reader)).body, "the live answer is not redacted"
            writer.close()
            await until(lambda: len(router.pairs()) == 1, what="the pair")
            router.write(router.text().replace("token: viewer-s3cret", "token: [viewer-s3cret]"))
            await router.comes_true(lambda: _is(router, "router_config_reload_successful", 0), "the refusal")
            answer = await router.act("rollback", reason="done")
            assert answer["phase"] == "rolled_back"
            told = [
                str(router.call("GET", path)[1])
                for path in (
                    base,
                    f"{base}/m",
                    f"{base}/m/history",
                    f"{base}/m/pairs",
                    f"{base}/m/comparison",
                    "/api/v1/config",
                    "/api/v1/openapi.json",
                    "/metrics",
                )
            ]
            assert "'authorization'" in told[3] or "authorization" in told[3].lower(), (
                "the header is there, masked"
            )
            assert (await router.stop()) == 0
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != router.file]
    for secret in SECRETS:
        assert not any(secret in text for text in told), secret
        assert not any(secret.encode() in data for data in written), secret


# 8. Metrics


async def test_metrics_count_exactly_what_clients_counted(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2", status=500) as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}) as router,
    ):
        async with (
            Load(router.port, clients=16) as load,
            Load(router.port, clients=2, path="/nowhere") as lost,
        ):
            await load.more(500)
        sent, seen = len(load.sent), len(two.requests)
        assert {each.version for each in load.sent} == {"v1"}, "stable answered for the candidate"
        assert 0 < seen < sent
        labels = 'deployment="m",version="v1"'
        expected = {
            f'router_requests_total{{code="200",{labels},role="live"}}': sent,
            f'router_request_duration_seconds_count{{{labels},role="live"}}': sent,
            'router_fallbacks_total{deployment="m",version="v2"}': seen,
            'router_requests_total{code="404",deployment="",role="live",version=""}': len(lost.sent),
            'router_router_errors_total{error="no_route"}': len(lost.sent),
            f"router_requests_in_flight{{{labels}}}": 0,
        }

        async def all_told() -> bool:
            found = {_sorted(name): value for name, value in (await router.metrics()).items()}
            return {name: found.get(_sorted(name)) for name in expected} == expected

        await router.comes_true(all_told, f"{expected}")


def _sorted(name: str) -> str:
    """A sample's name with its labels in order."""
    base, _, labels = name.rstrip("}").partition("{")
    return f"{base}{{{','.join(sorted(labels.split(',')))}}}"


# SIGTERM


async def test_sigterm_lets_requests_in_flight_finish_and_leaves_no_process(tmp_path: Path) -> None:
    async with (
        model("v1", delay=1.0) as slow,
        Router(tmp_path, {"m": deployment(v1=slow.url)}, workers=3) as router,
    ):
        asked = [asyncio.create_task(ask(router.port)) for _ in range(12)]
        await until(lambda: len(slow.requests) == 12, what="all requests at the model")
        assert await router.stop() == 0
        assert [(await answer).status for answer in asked] == [200] * 12
        assert router.living() == set()
        assert "Traceback" not in router.log.read_text()
        assert list((tmp_path / "db.run").iterdir()) == []

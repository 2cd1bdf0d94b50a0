"""A real Prometheus scrapes a real router with a rollout of each pattern: every panel of the dashboard shows data."""

import asyncio
import json
import math
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from ruamel.yaml import YAML

from tests.support.ports import free_ports
from tests.support.promql import DEPLOY, asked, exposed, filled, panel_queries, rules
from tests.support.routers import Load, Router, ask, canary, deployment
from tests.support.upstreams import model

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="prometheus is not installed (Debian: apt-get install prometheus)",
)

GATED = ", gates: [{error_rate: {max: 50%}}, {latency: {max: 10s}}], fallback: true, force: {header: x-v}"


class Prometheus:
    """One that scrapes every second, as `deploy/prometheus/scrape.yaml` says."""

    def __init__(self, path: Path, target: str) -> None:
        (self.port,) = free_ports(1)
        yaml = YAML(typ="safe", pure=True)
        config = yaml.load(DEPLOY / "prometheus" / "scrape.yaml")
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job |= {"scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
        shutil.copy(DEPLOY / "prometheus" / "alerts.yaml", path)
        file = path / "prometheus.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        self._command = [
            "prometheus", f"--config.file={file}", f"--storage.tsdb.path={path}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error",
        ]  # fmt: skip

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def end(self) -> None:
        self._process.kill()
        self._process.wait(10)

    async def get(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its API."""
        return await asyncio.to_thread(self._get, f"http://127.0.0.1:{self.port}{path}?{urlencode(query)}")

    @staticmethod
    def _get(url: str) -> Any:
        with urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    async def values(self, expression: str) -> list[float]:
        """What an expression is now; numbers only."""
        found = (await self.get("/api/v1/query", query=expression))["result"]
        values = [float(each["value"][1]) for each in found]
        return [value for value in values if not math.isnan(value)]

    async def scraped(self, times: int) -> bool:
        try:
            return bool(await self.values(f'count_over_time(up{{job="router"}}[1m]) >= {times}'))
        except OSError:
            return False


@asynccontextmanager
async def observed_router(path: Path) -> AsyncIterator[Router]:
    """A shadow, a canary with gates, and a blue-green deployment, after a bit of traffic for each."""
    async with model("a") as one, model("b") as two, model("c", status=503) as bad:
        shadow = "{pattern: shadow, primary: v1, shadows: [v2], noise: true}"
        green = "{pattern: blue_green, blue: v1, green: v2, live: blue, gates: [{error_rate: {max: 50%}}]}"
        deployments = {
            "s": deployment(shadow, "/s", v1=one.url, v2=two.url),
            "c": deployment(
                canary("{share: 50%, mirror: 50%, hold: 1h}", GATED), "/c", v1=one.url, v2=two.url
            ),
            "f": deployment(
                canary("{share: 50%, hold: 1h}", ", fallback: true"), "/f", v1=one.url, v2=bad.url
            ),
            "g": deployment(green, "/g", v1=one.url, v2=two.url),
        }
        extra = f"access_log: {{path: {path}/access.jsonl}}\n"
        async with Router(path, deployments, extra=extra) as router:
            loads = [Load(router.port, clients=2, path=f"/{name}", pause=0.02) for name in deployments]
            async with loads[0], loads[1], loads[2], loads[3]:
                await ask(router.port, "/nowhere")
                await router.act("switch", "g", to="green")
                yield router


async def test_every_metric_asked_for_is_on_the_page_of_a_running_router(tmp_path: Path) -> None:
    async with observed_router(tmp_path) as router:
        page = await router.get("/metrics")
    families = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    expressions = [*(query for _, query in panel_queries()), *(rule["expr"] for rule in rules())]
    for name in {name for expression in expressions for name, _ in asked(expression).selectors}:
        assert name in families or name.rsplit("_", 1)[0] in families, name
    assert families <= exposed().keys() | {name.rsplit("_", 1)[0] for name in exposed()}
    if shutil.which("promtool") is not None:
        linted = await asyncio.to_thread(
            subprocess.run,
            ("promtool", "check", "metrics"),
            input=page,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


@needs_prometheus
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_every_panel_shows_data(tmp_path: Path) -> None:
    async with observed_router(tmp_path) as router:
        prometheus = Prometheus(tmp_path, f"127.0.0.1:{router.admin_port}")
        prometheus.start()
        try:
            await router.comes_true(lambda: prometheus.scraped(8), "eight scrapes", within=60)
            empty = [
                (panel, query)
                for panel, query in panel_queries()
                if not await prometheus.values(filled(query))
            ]
            assert empty == []
            shares = 'router_share{deployment="g",version="v2"}'
            assert await prometheus.values(shares) == [1.0]
            fallbacks = 'sum(rate(router_fallbacks_total{deployment="f",version="v2"}[1m])) > 0'
            assert await prometheus.values(fallbacks)
            groups = (await prometheus.get("/api/v1/rules"))["groups"]
            assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
            targets = (await prometheus.get("/api/v1/targets"))["activeTargets"]
            assert [target["lastError"] for target in targets] == [""]
        finally:
            prometheus.end()

"""Visible, bounded load for the demo: people who ask for loans, at a steady rate, with sticky user ids."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass
from math import ceil
from random import Random

import aiohttp

from router.demo.population import applicant
from router.demo.protocol import NAME, inference_request

RATE = 100.0
"""Requests a second."""

USERS = 5_000
"""Different people; enough that a share of them is close to a share of the requests."""

CLIENTS = 8
"""Connections that send, one request at a time each."""

UNANSWERED = "none"
"""Stands for the version where no version answered."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its client saw it: when it began (epoch seconds), who answered, how long it took."""

    begun: float
    version: str
    ok: bool
    seconds: float


class Log:
    """The requests of the last while, and totals of all."""

    def __init__(self, kept: int = 200_000) -> None:
        self._recent: deque[Request] = deque(maxlen=kept)
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def add(self, request: Request) -> None:
        self._recent.append(request)
        self.answered[request.version] += 1
        if not request.ok:
            self.failed[request.version] += 1

    def begun_between(self, start: float, end: float) -> Counter[str]:
        """How many requests that began in [start, end) each version answered."""
        return Counter(request.version for request in self._recent if start <= request.begun < end)

    def latencies(self, version: str, last: int = 500) -> list[float]:
        """Seconds that the version's latest answers took, in order of size."""
        found: list[float] = []
        for request in reversed(self._recent):
            if request.version == version:
                found.append(request.seconds)
                if len(found) == last:
                    break
        return sorted(found)


def quantile(ordered: list[float], q: float) -> float | None:
    """The value that at least the part q of them does not exceed; None of nothing."""
    return ordered[max(0, ceil(q * len(ordered)) - 1)] if ordered else None


class Traffic:
    """Sends requests to the router at `url` until cancelled, and writes down what came back."""

    def __init__(self, url: str, log: Log, rate: float = RATE, seed: int = 11) -> None:
        self._target = f"{url}/v2/models/{NAME}/infer"
        self._log = log
        self._pause = CLIENTS / rate
        self._random = Random(seed)

    async def run(self) -> None:
        """Runs until cancelled. A client that is held up sends later, never more at once."""
        timeout = aiohttp.ClientTimeout(total=5.0)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(session, number * self._pause / CLIENTS))

    async def _client(self, session: aiohttp.ClientSession, delay: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due + self._pause, loop.time())
            self._log.add(await self._ask(session))

    async def _ask(self, session: aiohttp.ClientSession) -> Request:
        begun, start = time.time(), time.perf_counter()
        version, ok = UNANSWERED, False
        body = inference_request([applicant(self._random)])
        headers = {"x-user-id": f"user-{self._random.randrange(USERS)}"}
        try:
            async with session.post(self._target, json=body, headers=headers) as answer:
                await answer.read()
                version = answer.headers.get("x-router-version", UNANSWERED)
                ok = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            pass
        return Request(begun, version, ok, time.perf_counter() - start)

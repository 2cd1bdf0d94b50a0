"""Active health checks: asks each endpoint, on a schedule of its own, whether it is well.

Floor 4. An endpoint is down after FAILURES failed checks in a row and up again after one that succeeds:
leaving is slow so that one lost packet costs nothing, coming back is quick because a passive ejection or the
next checks correct a mistake. An endpoint nobody has checked yet counts as up. Success is a status from 200
to 299 within the timeout; the body is not read, redirects are not followed. A check that this process could not
make for want of its own (descriptors, memory, ports) says nothing: it must not take every endpoint down at once.

httpx is loaded with the first check: it takes a tenth of a second, which a router without any need not spend.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from router.config.schema import Config
from router.patterns.limits import UpstreamTls
from router.tls import ClientContexts, ClientFiles

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

FAILURES = 2
"""Failed checks in a row that take an endpoint down."""

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""What the endpoint has no part in."""

_JITTER = 0.1
"""The part of its period by which a check comes early or late, so that they spread out."""


@dataclass(frozen=True, slots=True)
class Check:
    """One endpoint and how it is checked; `every` and `timeout` in seconds. `path` follows the base URL; `tls` is as
    in the data plane."""

    url: str
    path: str
    every: float
    timeout: float
    tls: UpstreamTls = field(default_factory=UpstreamTls)


def checks_of(config: Config) -> frozenset[Check]:
    """All checks that a configuration asks for."""
    return frozenset(
        Check(
            url,
            version.health.path,
            version.health.every,
            version.health.timeout,
            version.tls.compile() if version.tls is not None else UpstreamTls(),
        )
        for deployment in config.deployments.values()
        for version in deployment.versions.values()
        if version.health is not None
        for url in version.endpoints
    )


@dataclass(slots=True)
class _Probe:
    """A running check: failures in a row so far, and its task."""

    failures: int
    task: asyncio.Task[None]


class _NotChecked(Exception):
    """For want of something here."""


class Prober:
    """Runs checks in `tasks`; calls `on_change` with all URLs that are down whenever that set changes."""

    def __init__(self, tasks: asyncio.TaskGroup, on_change: Callable[[tuple[str, ...]], None]) -> None:
        self._tasks = tasks
        self._on_change = on_change
        self._contexts = ClientContexts()
        self._clients: dict[ClientFiles, tuple[ssl.SSLContext, httpx.AsyncClient]] = {}
        self._probes: dict[Check, _Probe] = {}
        self._down: tuple[str, ...] = ()
        self._lacking = False

    def configure(self, checks: Iterable[Check]) -> None:
        """Runs exactly these checks from now on. Those that run already go on undisturbed; a URL that is down
        stays so until its new check succeeds."""
        wanted = frozenset(checks)
        if wanted:
            _prepare()
        for check in self._probes.keys() - wanted:
            self._probes.pop(check).task.cancel()
        for check in wanted - self._probes.keys():
            failures = FAILURES if check.url in self._down else 0
            self._probes[check] = _Probe(failures, self._tasks.create_task(self._run(check)))
        self._tell()

    async def close(self) -> None:
        """Ends all checks."""
        for probe in self._probes.values():
            probe.task.cancel()
        self._probes.clear()
        for _, client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _run(self, check: Check) -> None:
        """Checks for ever; the first time soon, but not all endpoints in the same moment."""
        await asyncio.sleep(random.uniform(0, _JITTER * check.every))
        while True:
            try:
                self._note(check, await self._trouble(check))
                self._lacking = False
            except _NotChecked as error:
                if not self._lacking:
                    _log.error("endpoints can't be checked, and stay what they were: %s", error)
                self._lacking = True
            await asyncio.sleep(check.every * random.uniform(1 - _JITTER, 1 + _JITTER))

    def _note(self, check: Check, trouble: str) -> None:
        probe = self._probes[check]
        probe.failures = probe.failures + 1 if trouble else 0
        if probe.failures == FAILURES:
            _log.warning("endpoint %s is down: %s", check.url, trouble)
        self._tell()

    async def _trouble(self, check: Check) -> str:
        """What is wrong with the endpoint; empty when it is well. Raises _NotChecked."""
        try:
            import httpx  # noqa: PLC0415
        except OSError as error:
            raise _NotChecked(error.strerror) from error
        name = {"sni_hostname": check.tls.server_name} if check.tls.server_name else {}
        url = check.url.rstrip("/") + check.path
        try:
            client = await self._client(check.tls)
            async with (
                asyncio.timeout(check.timeout),
                client.stream("GET", url, timeout=None, extensions=name) as answer,
            ):
                return "" if answer.is_success else f"it answers {answer.status_code}"
        except TimeoutError:
            return f"no answer within {check.timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if (ours := _own_lack(error)) is not None:
                raise _NotChecked(ours.strerror) from error
            return str(error) or type(error).__name__

    async def _client(self, tls: UpstreamTls) -> httpx.AsyncClient:
        """The one for endpoints that are trusted like this; anew where a file has changed. Raises OSError where one is
        not usable."""
        import httpx  # noqa: PLC0415

        files = ClientFiles(tls.ca, tls.cert, tls.key, tls.verify)
        context = self._contexts.get(files, monotonic())
        known = self._clients.get(files)
        if known is not None and known[0] is context:
            return known[1]
        client = httpx.AsyncClient(
            headers={"user-agent": "router-health"}, follow_redirects=False, trust_env=False, verify=context
        )
        self._clients[files] = context, client
        if known is not None:
            await known[1].aclose()
        return client

    def _tell(self) -> None:
        """Reports what is down, if that is not what was reported last."""
        down = sorted({check.url for check, probe in self._probes.items() if probe.failures >= FAILURES})
        if tuple(down) == self._down:
            return
        for url in set(self._down) - set(down):
            _log.info("endpoint %s is no longer down", url)
        self._down = tuple(down)
        self._on_change(self._down)


def _prepare() -> None:
    """Loads httpx: now, and not in the middle of whatever else happens when the first check is due."""
    with suppress(OSError):  # for want of descriptors; each check tries again
        import httpx  # noqa: F401, PLC0415


def _own_lack(error: BaseException | None) -> OSError | None:
    """The one of _OURS that led to the error, through whatever libraries made of it."""
    if error is None or (isinstance(error, OSError) and error.errno in _OURS):
        return error
    if isinstance(error, socket.gaierror):
        return _lack_of_descriptors()
    inside = (
        error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__ or error.__context__,)
    )
    return next((found for found in map(_own_lack, inside) if found is not None), None)


def _lack_of_descriptors() -> OSError | None:
    """The C library reads names from files: where it can't open them, nobody seems to know a name."""
    try:
        socket.socket().close()
    except OSError as error:
        return error
    return None

"""`router demo`: starts two model servers and a router, drives traffic, shows what happens, stops it all."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from router.demo.api import Api
from router.demo.model import known_agreement
from router.demo.picture import Picture, Timeline, agreement_in, measure, rows_of, told
from router.demo.processes import Crew, free_ports
from router.demo.protocol import NAME
from router.demo.script import Act, hold_of, script
from router.demo.traffic import Log, Traffic
from router.demo.view import EVENTS_SHOWN, agreement_summary, line, measured_table, screen
from router.errors import RouterError
from router.rollout.phase import place

CANDIDATE = "v2"
V2_DELAY_MS = 5
"""How much slower v2 is, so that the difference is there to be seen."""

REFRESH = 0.25
"""Seconds between two looks at the router."""

LINE_EVERY = 2.0
"""Seconds between two lines where the output is no terminal."""


@dataclass(slots=True)
class Demo:
    """One run of a demo. `duration` in seconds, None: until it is interrupted."""

    pattern: str
    duration: float | None
    directory: Path
    console: Console
    known: float = field(default_factory=known_agreement)
    log: Log = field(default_factory=Log)
    timeline: Timeline = field(default_factory=Timeline)
    acted: list[tuple[Act, dict[str, Any], float]] = field(default_factory=list)
    listen: str = ""
    admin: str = ""
    start: float = 0.0

    async def run(self) -> None:
        """Raises RouterError when something did not start, or ended before it should."""
        crew = Crew(self.directory)
        try:
            with _interruptible():
                await self._set_up(crew)
                await self._play(crew)
        finally:
            await crew.stop()
        self._print("\n".join(self._summary()))

    async def _set_up(self, crew: Crew) -> None:
        v1, v2, listen, admin = (f"127.0.0.1:{port}" for port in free_ports(4))
        for version, address, delay in (("v1", v1, 0), ("v2", v2, V2_DELAY_MS)):
            port = address.rpartition(":")[2]
            server = ("-m", "router.demo.server", "--version", version, "--port", port)
            await crew.start(version, *server, "--delay-ms", str(delay))
        for version, address in (("v1", v1), ("v2", v2)):
            await crew.ready(version, f"http://{address}/v2/health/ready")
        environ = {
            "DEMO_LISTEN": listen,
            "DEMO_ADMIN": admin,
            "DEMO_STATE": str(self.directory / "router.db"),
            "DEMO_PAIRS": str(self.directory / "pairs"),
            "DEMO_V1": f"http://{v1}",
            "DEMO_V2": f"http://{v2}",
            "DEMO_HOLD": hold_of(self.duration),
        }
        config = Path(__file__).with_name(f"{self.pattern}.yaml")
        await crew.start("router", "-m", "router.cli", "serve", str(config), environ=environ)
        self.listen, self.admin = f"http://{listen}", f"http://{admin}"
        await crew.ready("router", f"{self.admin}/readyz")
        self.start = time.time()

    async def _play(self, crew: Crew) -> None:
        """Traffic, the script and the view, until the time is over or somebody interrupts."""
        async with Api(self.admin) as api:
            traffic = asyncio.create_task(Traffic(self.listen, self.log).run())
            acting = asyncio.create_task(self._act(api))
            try:
                await self._show(crew, api)
            except asyncio.CancelledError:
                # Interrupted: a regular end, with everything there is to tell.
                _current().uncancel()
            finally:
                for task in (traffic, acting):
                    task.cancel()
                ended = await asyncio.gather(traffic, acting, return_exceptions=True)
        for error in ended:
            if isinstance(error, RouterError):
                raise error

    async def _show(self, crew: Crew, api: Api) -> None:
        with self._display() as show:
            while self.duration is None or time.time() - self.start < self.duration:
                crew.check()
                show(await self._picture(api))
                await asyncio.sleep(REFRESH)

    async def _act(self, api: Api) -> None:
        for act in script(self.pattern, self.duration):
            await asyncio.sleep(max(0.0, self.start + act.at - time.time()))
            try:
                answer = await api.act(act.action, act.body)
            except RouterError:
                if self.duration is not None:
                    raise
                return  # whoever watches has acted otherwise meanwhile: the demo is theirs
            self.acted.append((act, answer, time.time()))

    async def _picture(self, api: Api) -> Picture:
        deployment = await api.deployment()
        now, events = time.time(), deployment["events"]
        self.timeline.note(events, deployment["shares"])
        evidence = deployment["evidence"]
        compared = evidence.get(CANDIDATE, {})
        applied = {answer["generation"]: answer["applied_ms"] for _, answer, _ in self.acted}
        return Picture(
            now - self.start,
            deployment["phase"],
            place(deployment["phase"], deployment["step"], deployment["steps"]),
            deployment["waits_for"],
            rows_of(self.log, self.timeline.present(now, deployment["shares"]), evidence),
            compared.get("agreement"),
            compared.get("shadow_requests", 0),
            tuple(told(event, self.start, applied) for event in reversed(events[:EVENTS_SHOWN])),
            events[0]["id"] if events else 0,
        )

    @contextmanager
    def _display(self) -> Iterator[Callable[[Picture], None]]:
        hints = self._hints()
        if self.console.is_terminal:
            title = f"router demo {self.pattern}"
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                yield lambda picture: live.update(screen(picture, title, self.known, hints), refresh=True)
        else:
            self._print("\n".join(hints))
            yield self._print_lines()

    def _print_lines(self) -> Callable[[Picture], None]:
        """Prints events as they happen, and every while how things are."""
        due, known = 0.0, 0

        def show(picture: Picture) -> None:
            nonlocal due, known
            happened = picture.total_events - known
            for event in picture.events[-happened:] if happened else ():
                self._print(event)
            known = picture.total_events
            if picture.elapsed >= due:
                due = picture.elapsed + LINE_EVERY
                self._print(line(picture))

        return show

    def _hints(self) -> list[str]:
        """Where everything is, and what a person can do from another terminal, as it has to be typed there."""
        act = {
            "canary": f"rollback {NAME}",
            "shadow": f"rollback {NAME}",
            "blue-green": f"switch {NAME} green",
        }
        commands = [f"status {NAME} --watch", act[self.pattern]]
        if self.pattern != "blue-green":  # where nothing is copied
            commands.insert(1, f"pairs tail {NAME}")
        router = _router_command()
        return [
            f"Requests go to {self.listen}",
            f"See it: {self.admin}/",
            f"State, pairs and logs: {self.directory}",
            "From another terminal:",
            *(f"  {router} {command} --admin {self.admin}" for command in commands),
            "Ctrl-C ends the demo.",
        ]

    def _summary(self) -> list[str]:
        total, failed = self.log.answered.total(), self.log.failed.total()
        measured = [measure(self.log, span, CANDIDATE) for span in self.timeline.spans(time.time())]
        lines = [
            f"router demo {self.pattern}: {total} requests, {failed} failed",
            *measured_table(measured, CANDIDATE),
            *map(self._told, self.acted),
        ]
        if self.pattern != "blue-green":  # where nothing is copied
            pairs = self.directory / "pairs" / NAME
            agreement = agreement_in(pairs)
            lines.append(f"agreement: {agreement_summary(agreement, self.known)}")
            apart = agreement.pairs - agreement.compared
            more = f" ({apart} without two answers to compare)" if apart else ""
            lines.append(f"pairs on disk: {agreement.pairs}{more} in {pairs}")
        return lines

    def _told(self, acted: tuple[Act, dict[str, Any], float]) -> str:
        """What an act of the script led to; after a rollback, whether anything still reached the candidate."""
        act, answer, moment = acted
        workers = answer["workers"]
        text = (
            f"{act} at {act.at:.1f} s: in force after {answer['applied_ms']:.1f} ms "
            f"on {workers['confirmed']} of {workers['live']} workers"
        )
        if act.action == "rollback":
            late = self.log.begun_between(moment, time.time())[CANDIDATE]
            text += f"\n  requests that began after that and reached {CANDIDATE}: {late}"
        return text

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)


def play(pattern: str, duration: float | None, root: Path) -> None:
    """Runs a demo whose files go into a new directory below `root`. Raises RouterError when it fails."""
    directory = root / f"{pattern}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise RouterError(f"{directory}: {error.strerror}") from None
    try:
        asyncio.run(Demo(pattern, duration, directory, Console()).run())
    except asyncio.CancelledError:
        pass  # interrupted before there was anything to show


def _current() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP cancels the task; what follows it can't hurry a bounded stop."""
    loop, task = asyncio.get_running_loop(), _current()
    cancelled = False

    def interrupt() -> None:
        nonlocal cancelled
        if not cancelled:
            cancelled = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    yield


def _router_command() -> str:
    """How this program was called, as far as it can be called so again."""
    called = Path(sys.argv[0])
    if called.name != "router":
        return f"{shlex.quote(sys.executable)} -m router.cli"
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))

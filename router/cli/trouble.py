"""What is wrong with a running router, as sentences. Read from what its admin API and its metrics say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from router.cli.wording import number, plain

_WANTED = (
    "router_workers", "router_endpoint_healthy", "router_journal_persisted", "router_sink_healthy",
    "router_sink_waiting",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """What the metrics page tells: workers by state, unhealthy endpoints with whose they are, the journal, and what
    waits for sinks whose last attempt failed."""

    workers: dict[str, int]
    unhealthy: tuple[tuple[str, str, str], ...]
    persisted: bool
    failing_sinks: dict[str, int] = field(default_factory=dict)


def condition(metrics: str) -> Condition:
    """Reads the few families of the page that are wanted here."""
    lines = [line for line in metrics.splitlines() if line.startswith(_WANTED)]
    workers: dict[str, int] = {}
    unhealthy: list[tuple[str, str, str]] = []
    persisted = True
    failing: set[str] = set()
    waiting: dict[str, int] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for name, labels, value, *_ in family.samples:
            if name == "router_workers":
                workers[labels["state"]] = int(value)
            elif name == "router_endpoint_healthy" and not value:
                unhealthy.append((labels["deployment"], labels["version"], labels["endpoint"]))
            elif name == "router_journal_persisted":
                persisted = bool(value)
            elif name == "router_sink_healthy" and not value:
                failing.add(labels["sink"])
            elif name == "router_sink_waiting":
                waiting[labels["sink"]] = int(value)
    return Condition(
        workers, tuple(unhealthy), persisted, {sink: waiting.get(sink, 0) for sink in sorted(failing)}
    )


def problems(config: dict[str, Any], found: Condition) -> list[str]:
    """Everything a person should know at once; empty when all is well. `config` is what GET /config says."""
    return [*_with_config(config["status"]), *_with_workers(config["config"], found), *_with_the_rest(found)]


def _with_config(status: dict[str, Any]) -> Iterator[str]:
    if status["error"]:
        lines = [plain(line) for line in status["error"].splitlines()]
        yield "\n".join(("the configuration on disk is refused, the one before it is in force:", *lines))
    for warning in status.get("warnings", ()):
        yield f"a certificate can't be renewed: {plain(warning)}"


def _with_workers(config: dict[str, Any] | None, found: Condition) -> Iterator[str]:
    serving = found.workers.get("serving", 0)
    wanted = serving + found.workers.get("starting", 0)
    if config is not None and isinstance(config["workers"], int):  # not "auto"
        wanted = max(wanted, config["workers"])
    if serving < wanted:
        yield f"only {serving} of {wanted} workers serve; the router's log says why"


def _with_the_rest(found: Condition) -> Iterator[str]:
    for deployment, version, url in found.unhealthy:
        yield f"{deployment} {version}: endpoint {plain(url)} is unhealthy and gets no requests"
    for sink, records in found.failing_sinks.items():
        yield f"sink {sink} cannot be reached, {number(records, 'pair')} waiting; the router's log says why"
    if not found.persisted:
        yield "the last changes are not on disk: a restart of the router may forget them"

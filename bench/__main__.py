"""See the package. Prints one table a scenario and writes the figures to bench/results/latest.json."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import load, peers

PROXY_CORE = 1
LOAD_CORE = 0

Sample = dict[str, float]


def main() -> None:
    """Entry point of `python -m bench`."""
    parser = argparse.ArgumentParser(
        prog="bench", description="CPU per proxied request, beside other proxies"
    )
    parser.add_argument("--rounds", type=int, default=5, help="times each proxy is measured (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement (default 4)")
    parser.add_argument(
        "--connections", type=int, default=32, help="kept-alive client connections (default 32)"
    )
    parser.add_argument("scenario", nargs="*", help="canary, shadow (default: both)")
    arguments = parser.parse_args()
    scenarios = arguments.scenario or ["canary", "shadow"]
    if load.missing():
        sys.exit(f"bench: wrk is not installed: {load.missing()}")
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench: needs two cores, one for the proxy and one for load and upstream")
    console = Console(width=120)
    results: dict[str, object] = {"machine": _machine(), "python": platform.python_version()}
    with _upstream():
        for scenario in scenarios:
            rounds = _measure(scenario, arguments, console)
            results[scenario] = rounds
            _show(scenario, rounds, console)
    target = Path(__file__).with_name("results") / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1))
    console.print(f"figures of every round: {target}")


@contextmanager
def _upstream() -> Iterator[None]:
    """The raw upstream, on the load's core."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.upstream", str(peers.UPSTREAM)]
    process = subprocess.Popen(command)
    try:
        peers.wait_for_port(peers.UPSTREAM, process, Path(os.devnull))
        yield
    finally:
        process.kill()
        process.wait()


def _measure(scenario: str, arguments: argparse.Namespace, console: Console) -> dict[str, list[Sample]]:
    """All peers started, then measured in turn, round by round, so that drift of the machine meets all alike."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        running = []
        for peer in {"canary": peers.canary, "shadow": peers.shadow}[scenario](directory):
            if peer.missing:
                console.print(f"{peer.name} skipped: not installed ({peer.missing})")
                continue
            try:
                proxy = stack.enter_context(peers.started(peer, directory))
            except RuntimeError as error:
                console.print(f"{peer.name} skipped: {error}")
                continue
            proxy.pin(PROXY_CORE, LOAD_CORE)
            load.run(peer.port, connections=arguments.connections, seconds=1, core=LOAD_CORE)
            running.append(proxy)
        samples: dict[str, list[Sample]] = {proxy.peer.name: [] for proxy in running}
        for number in range(arguments.rounds):
            for proxy in running:
                console.print(
                    f"{scenario}: round {number + 1} of {arguments.rounds}, {proxy.peer.name}", style="dim"
                )
                samples[proxy.peer.name].append(_sample(proxy, arguments))
        return samples


def _sample(proxy: peers.Running, arguments: argparse.Namespace) -> Sample:
    before = proxy.cpu()
    seen = load.run(
        proxy.peer.port, connections=arguments.connections, seconds=arguments.seconds, core=LOAD_CORE
    )
    spent = proxy.cpu() - before
    single = load.run(proxy.peer.port, connections=1, seconds=1, core=LOAD_CORE)
    return {
        "cpu_us": spent / seen.requests * 1e6,
        "rps": seen.requests / seen.seconds,
        "p50_ms": seen.p50,
        "p99_ms": seen.p99,
        "single_p50_ms": single.p50,
        "rss_mib": proxy.rss(),
        "errors": seen.errors + single.errors,
    }


def _show(scenario: str, rounds: dict[str, list[Sample]], console: Console) -> None:
    ours = next(iter(rounds), "")
    table = Table(title=f"{scenario}: medians of the rounds; ours ÷ theirs as min-median-max of the rounds")
    for column in (
        "proxy",
        "CPU µs/request",
        "ours ÷ theirs",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p50 at 1",
        "RSS MiB",
        "errors",
    ):
        table.add_column(column, justify="left" if column == "proxy" else "right")
    for name, samples in rounds.items():
        ratios = sorted(
            mine["cpu_us"] / its["cpu_us"] for mine, its in zip(rounds[ours], samples, strict=True)
        )

        def middle(key: str, samples: list[Sample] = samples) -> float:
            return statistics.median(sample[key] for sample in samples)

        table.add_row(
            name,
            f"{middle('cpu_us'):.1f}",
            "" if name == ours else f"{ratios[0]:.2f}-{statistics.median(ratios):.2f}-{ratios[-1]:.2f}",
            f"{middle('rps'):,.0f}",
            f"{middle('p50_ms'):.2f}",
            f"{middle('p99_ms'):.2f}",
            f"{middle('single_p50_ms'):.3f}",
            f"{middle('rss_mib'):.0f}",
            f"{sum(sample['errors'] for sample in samples):.0f}",
        )
    console.print(table)


def _machine() -> str:
    model = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{os.cpu_count()} x {model[0] if model else platform.machine()}, Linux {platform.release()}"


if __name__ == "__main__":
    main()

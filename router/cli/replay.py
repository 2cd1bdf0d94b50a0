"""`router replay`: recorded requests against a new version, compared with the recorded answers."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import click
import msgspec

from router.channel import Capture, CapturedAnswer
from router.cli.client import Failed
from router.cli.comparing import ComparatorParameter
from router.cli.operate import ShareParameter
from router.cli.output import output, show
from router.cli.pairlog import configuration, files_at, say_damaged, segments_of, selects_pairs
from router.cli.parameters import DurationParameter, HeaderParameter, UrlParameter
from router.cli.progress import bytes_bar, requests_bar
from router.cli.replay_report import rendered
from router.cli.wording import percent
from router.config.schema import Config
from router.pairs.comparators import Comparator
from router.pairs.extract import Extract, Selection
from router.pairs.pair import Pair
from router.pairs.replay import Headers, Rules, Selector, compared
from router.pairs.replayed import Report, Tally, shortfalls
from router.pairs.settings import PairSettings
from router.replay.pacing import Pacer
from router.replay.run import GIVE_UP, Gone, Replay
from router.replay.target import Target

INTERRUPTED = 130
"""Exit code after Ctrl-C: what was replayed until then is no verdict."""

Take = Callable[[Capture, CapturedAnswer], None]
Judge = Callable[[Capture, CapturedAnswer], Pair]


@click.command()
@click.argument("pairs", nargs=-1, required=True)
@click.option("--against", "url", type=UrlParameter(), required=True, metavar="URL",
              help="Base URL of the new version; recorded paths are appended.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, 100_000, min_open=True), metavar="N",
              help="Requests a second, at most.  [default: as fast as --concurrency allows]")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, metavar="N",
              help="Requests under way at once, at most.")  # fmt: skip
@click.option(
    "--timeout", type=DurationParameter(), default="30s", show_default=True, help="For each request."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first so many requests.")
@selects_pairs
@click.option("--primary", metavar="VERSION", help="Only what this version answered.")
@click.option("--header", "headers", type=HeaderParameter(), multiple=True, metavar="NAME:VALUE",
              help="Sent instead of the recorded one; an empty value leaves it out. May be repeated.")  # fmt: skip
@click.option("--compare", type=ComparatorParameter(), metavar="YAML|FILE",
              help="How to compare: bytes, 'json: {ignore: [/id]}', or a file.  [default: json]")  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
              help="Compare and redact as this configuration says; PAIRS may be a deployment's name.")  # fmt: skip
@click.option("--as", "version", default="replay", show_default=True, metavar="VERSION",
              help="What the new version is called in --out.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the pairs, in the form of the log.")  # fmt: skip
@click.option(
    "--min-agreement", type=ShareParameter(), metavar="SHARE", help="Exit 1 when fewer pairs agree: 98%."
)
@click.option("--min-comparable", type=ShareParameter(), default="90%", show_default=True, metavar="SHARE",
              help="With --min-agreement: exit 1 when fewer requests could be compared.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(
    pairs: tuple[str, ...],
    url: str,
    rate: float | None,
    concurrency: int,
    timeout: float,
    limit: int | None,
    selection: Selection,
    primary: str | None,
    headers: Headers,
    compare: Comparator | None,
    config: Path | None,
    version: str,
    out: Path | None,
    min_agreement: float | None,
    min_comparable: float,
    as_json: bool,
) -> None:
    """Send recorded requests to a new version and compare its answers.

    PAIRS are directories or segments of a pair log. Every request goes out once, in the log's order, with
    `x-router-shadow: replay`; what the log does not hold whole (cut, redacted) is counted, not sent.

    \b
      router replay var/pairs/loan-approval --against http://127.0.0.1:9003 --rate 50
      router replay loan-approval --config router.yaml --against http://v3:9000 --min-agreement 98%
      router replay day.jsonl.zst --against http://v3:9000 --out v3.jsonl --header "authorization: Bearer $T"

    \b
    Exit code 0: done, and --min-agreement is reached. 1: not reached, too little could be compared, or the
    new version is not there. 2: wrong usage or configuration. 130: Ctrl-C; the summary is of what was done.
    """
    settings = None if config is None else configuration(config)
    files = [file for place in pairs for file in _files(place, settings)]
    if out is not None and out.resolve() in {file.resolve() for file in files}:
        raise Failed(f"{out} is one of the segments to replay: write somewhere else")
    select = partial(Selector, frozenset(name for name, _ in headers), primary, _pruned(settings))
    counted = select()
    count = _count(Extract(files, selection), counted, limit)
    captures = islice(select().fit(Extract(files, selection)), count)
    tally, judge, clock = Tally(), _judge(compare, settings), time.perf_counter

    async def send(take: Take) -> None:
        async with Target(url, version, connections=concurrency, timeout=timeout, clock=clock) as target:
            await Replay(captures, target, Pacer(rate), headers, take, clock).run(concurrency)

    start = clock()
    try:
        with _taking(tally, judge, count, out) as take:
            asyncio.run(send(take))
    except KeyboardInterrupt:
        stopped, code = "interrupted", INTERRUPTED
    except Gone:
        stopped, code = f"{url} took none of {GIVE_UP} connections in a row", 1
    else:
        stopped, code = "", 0
    report = tally.report(count, counted, clock() - start)
    short = shortfalls(report, min_agreement, min_comparable)
    _say(report, [stopped] if stopped else short, as_json)
    raise SystemExit(code or int(bool(short)))


def _files(place: str, settings: Config | None) -> list[Path]:
    """The segments meant by a path, or by a deployment's name where there is a configuration."""
    if settings is not None and not Path(place).exists() and place in settings.deployments:
        return segments_of(Path(settings.pairs.path), place)
    return files_at(Path(place))


def _pruned(settings: Config | None) -> frozenset[str]:
    """The deployments whose requests are logged only in part."""
    deployments = {} if settings is None else settings.deployments
    return frozenset(name for name, each in deployments.items() if each.pairs.keep_only.request is not None)


def _count(extract: Extract, selector: Selector, limit: int | None) -> int:
    """How many requests will be sent. The log is read for it once more, so that a person sees how long it takes."""
    count = 0
    with bytes_bar() as progress:
        task = progress.add_task("reading", total=extract.size)
        for _ in islice(selector.fit(extract), limit):
            count += 1
            if count % 256 == 0:
                progress.update(task, completed=extract.read)
    say_damaged(extract)
    return count


def _judge(compare: Comparator | None, settings: Config | None) -> Judge:
    """What makes a pair of a recorded exchange and the answer of today."""
    if settings is None:
        return partial(compared, rules=Rules.of(PairSettings(), compare))
    known = {name: Rules.of(each.pairs, compare) for name, each in settings.deployments.items()}

    def pair(capture: Capture, answer: CapturedAnswer) -> Pair:
        if capture.deployment not in known:
            raise Failed(f"these are pairs of {capture.deployment}, and --config has no such deployment")
        return compared(capture, answer, known[capture.deployment])

    return pair


@contextmanager
def _taking(tally: Tally, judge: Judge, total: int, out: Path | None) -> Iterator[Take]:
    """What happens to each answer: it is compared, counted, shown, and written where asked for."""
    with _writing(out) as write, requests_bar() as progress:
        task = progress.add_task("", total=total, note="")

        def take(capture: Capture, answer: CapturedAnswer) -> None:
            pair = judge(capture, answer)
            tally.add(pair)
            write(pair)
            progress.update(task, advance=1, note=f"{percent(tally.agreement().share)} agree")

        yield take


@contextmanager
def _writing(out: Path | None) -> Iterator[Callable[[Pair], None]]:
    """Writes pairs to a file, each at once, or nowhere."""
    if out is None:
        yield lambda pair: None
        return
    try:
        file = out.open("wb", buffering=0)
    except OSError as error:
        raise Failed(f"{out}: {error.strerror}") from None

    def write(pair: Pair) -> None:
        try:
            file.write(pair.line())
        except OSError as error:
            raise Failed(f"{out}: {error.strerror}") from None

    with file:
        yield write


def _say(report: Report, why: list[str], as_json: bool) -> None:
    """The summary on standard output, and on stderr what makes it a failure."""
    if as_json:
        summary = msgspec.to_builtins(report) | {"comparable": report.comparable, "failures": why}
        click.echo(json.dumps(summary, indent=2))
    else:
        show(output(), rendered(report))
    for sentence in why:
        click.echo(f"router: {sentence}", err=True)

"""Pair logs on disk, written as the recorder writes them: through the pipeline and the sink."""

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from router.channel import Capture
from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings
from router.pairs.sinks import jsonl
from tests.support.captures import message, primary, shadow

JSON = ((b"Content-Type", b"application/json"),)
DEFAULTS = PairSettings()


def recorded(number: int, label: int, other: int, deployment: str = "loan") -> tuple[Capture, Capture]:
    """Two halves of a pair that can be replayed: the request asks for `number`, the answers are labels."""
    live = primary(str(number), message({"label": label}, JSON), deployment=deployment)
    assert live.request is not None
    live = replace(live, request=replace(live.request, message=message({"number": number}, JSON)))
    return live, shadow(str(number), message({"label": other}, JSON), deployment=deployment)


def pair(live: Capture, other: Capture, settings: PairSettings = DEFAULTS) -> Pair:
    """The pair that the recorder makes of these halves."""
    joined = Joined(live, other, other.answer.version, ())
    return build(joined, settings.compare, Redactor.of(settings))


def write(
    root: Path, deployment: str, pairs: Iterable[Pair], segment: str = "1", *, pack: bool = False
) -> Path:
    """Adds a segment to a deployment's log; returns its directory."""
    directory = root / deployment
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{segment}.jsonl"
    with path.open("ab") as file:
        file.writelines(each.line() for each in pairs)
    if pack:
        jsonl.pack(path)
    return directory


def written(root: Path, deployment: str = "loan", count: int = 20, different: int = 5) -> Path:
    """A log of two segments, one of them packed, whose first `different` pairs are mismatches."""
    pairs = [
        pair(*recorded(number, number % 2, number % 2 if number >= different else 9, deployment))
        for number in range(count)
    ]
    write(root, deployment, pairs[: count // 2], "1", pack=True)
    return write(root, deployment, pairs[count // 2 :], "2")

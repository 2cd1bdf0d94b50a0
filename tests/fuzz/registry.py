"""All targets, and the corpus of each: inputs in the tree that are tried first and mutated from."""

from collections.abc import Callable
from pathlib import Path

from tests.fuzz import between, files, wire

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        wire.requests, wire.responses, wire.responses_to_head, between.frames, between.content, between.streams,
        between.tensors, files.config,
    )
}  # fmt: skip

CORPUS = Path(__file__).parent / "corpus"
CONFIGS = Path(__file__).parents[2] / "configs"


def corpus(name: str) -> list[bytes]:
    """The inputs kept for a target; every shipped configuration is one for `config`."""
    paths = sorted((CORPUS / name).glob("*"))
    if name == "config":
        paths += sorted(CONFIGS.glob("*.yaml"))
    return [path.read_bytes() for path in paths]

"""Files to configuration: all of it right, or everything that is wrong with it at once. Floor 3."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from router.config.checks import check
from router.config.explain import explain
from router.config.masking import mask
from router.config.schema import Config
from router.config.source import Source, read
from router.config.watch import watch
from router.errors import ConfigError, Problem
from router.tls import PemFiles, refusals

__all__ = ["Loaded", "load", "mask", "watch"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that may be put in force.

    `digest` is short and changes with the text of the files and the environment variables they name.
    """

    config: Config
    digest: str
    files: tuple[Path, ...]


def load(path: Path, environ: Mapping[str, str], in_use: Collection[PemFiles] = ()) -> Loaded:
    """The configuration in a file, or in the *.yaml and *.yml of a directory, with `${NAME}` from `environ`.

    `in_use`: certificates that were taken in already. A renewal of theirs that is half done is no reason to refuse an
    edit. Raises ConfigError with every problem found.
    """
    source = read(path, environ)
    if not source.complete:
        raise ConfigError(_in_order(source.problems))
    config, problems = _validate(source)
    checked = check(source, lambda file: Path(file).is_file(), refusals, in_use)
    problems = [*source.problems, *problems, *checked]
    if config is None or problems:
        raise ConfigError(_in_order(problems))
    return Loaded(config, source.digest, source.files)


def _validate(source: Source) -> tuple[Config | None, list[Problem]]:
    try:
        return Config.model_validate(source.values), []
    except ValidationError as error:
        return None, explain(error, source, _json_schema())


@cache
def _json_schema() -> dict[str, Any]:
    """Costs more than all else that is done to a file, and only who made a mistake needs it."""
    return Config.model_json_schema()


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By file and line; of several about one place the first, for the others follow from it."""
    places: dict[tuple[str, int, str], Problem] = {}
    for problem in problems:
        places.setdefault((problem.file, problem.line, problem.path), problem)
    return sorted(places.values(), key=lambda problem: (problem.file, problem.line))

"""How a command is told to compare: `--compare` as YAML, or the `pairs` section of a deployment."""

import os
import re
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from router.config.yamlfile import YamlFile
from router.errors import ConfigError
from router.pairs.comparators import Comparator

_KIND = re.compile(r"[a-z_]+")
_comparators: TypeAdapter[Comparator] = TypeAdapter(Comparator)


class ComparatorParameter(click.ParamType[Comparator]):
    """A comparator as in the YAML: a file with it, or itself (`json: {ignore: [/id]}`), or its kind alone."""

    name = "comparator"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Comparator:
        try:
            return _comparators.validate_python(_mapping(value))
        except ConfigError as error:
            self.fail("; ".join(map(str, error.problems)), param, ctx)
        except ValidationError as error:
            self.fail("; ".join(map(_sentence, error.errors())), param, ctx)


def _mapping(value: str) -> dict[str, Any]:
    """Raises ConfigError."""
    if Path(value).is_file():
        name, data = value, Path(value).read_bytes()
    else:
        kind = value.strip()
        name, data = "the value", f"{kind}: {{}}".encode() if _KIND.fullmatch(kind) else value.encode()
    file = YamlFile(name, os.environ)
    values = file.read(data)
    if file.problems:
        raise ConfigError(file.problems)
    return values


def _sentence(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"]))
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message

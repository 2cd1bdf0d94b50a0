"""Targets: what people write into files."""

import tempfile
from pathlib import Path

from router.config.loader import load
from router.errors import ConfigError, Problem

ENVIRONMENT = {"NAME": "value", "PORT": "8080"}


def config(data: bytes) -> None:
    """A configuration: it is loaded, or every problem has a place and says what is wrong."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "router.yaml"
        path.write_bytes(data)
        for problem in _problems(path):
            assert problem.file
            assert str(problem)


def _problems(path: Path) -> tuple[Problem, ...]:
    try:
        load(path, ENVIRONMENT)
    except ConfigError as error:
        return tuple(error.problems)
    return ()

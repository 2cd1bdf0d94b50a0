"""The files of a configuration, read and merged. Floor 3."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from router.config.places import Place, Steps, child_of, dotted
from router.config.yamlfile import YamlFile
from router.errors import ConfigError, Problem

SUFFIXES = (".yaml", ".yml")


@dataclass
class Source:
    """All files of a configuration, merged.

    `complete` is False when a file could not be understood, so that `values` lacks what it says.
    """

    root: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Steps, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True
    digest: str = ""
    files: tuple[Path, ...] = ()

    def place(self, steps: Steps) -> Place:
        """Where this stands, or the nearest thing around it."""
        while steps and steps not in self.places:
            steps = steps[:-1]
        return self.places.get(steps, self.root)

    def value(self, steps: Steps) -> Any:
        """What stands at this place; None: nothing."""
        value: Any = self.values
        for step in steps:
            _, value = child_of(value, step)
        return value

    def problem(self, steps: Steps, rule: str, found: str = "", fix: str = "") -> Problem:
        """A Problem with this place filled in."""
        place = self.place(steps)
        return Problem(place.file, place.line, dotted(steps), rule, found, fix)


def find_files(path: Path) -> tuple[Path, ...]:
    """The files that make up the configuration: `path` itself, or the YAML files in that directory by name.

    Raises OSError when the directory cannot be listed. Hidden files are left out.
    """
    if not path.is_dir():
        return (path,)
    names = (entry for entry in path.iterdir() if entry.suffix in SUFFIXES and entry.name[0] != ".")
    return tuple(sorted(entry for entry in names if not entry.is_dir()))


def fingerprint(path: Path) -> bytes:
    """Changes whenever the files of the configuration do, and with nothing else. Never raises OSError."""
    digest = sha256()
    try:
        for file in find_files(path):
            digest.update(b"\0" + os.fsencode(file.name) + b"\0" + _content(file))
    except OSError as error:
        digest.update(b"\1" + str(error.errno).encode())
    return digest.digest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        return b"\1" + str(error.errno).encode()


def read(path: Path, environ: Mapping[str, str]) -> Source:
    """The configuration at `path`: one file, or a directory whose files are merged. Never raises for what is
    wrong with it: that is in `problems`."""
    source = Source(Place(str(path), 0 if path.is_dir() else 1))
    try:
        source.files = find_files(path)
    except OSError as error:
        return _unreadable(source, path, error)
    if not source.files:
        source.complete = False
        rule = "the directory holds no *.yaml or *.yml file"
        source.problems.append(Problem(str(path), 0, "", rule))
    digest = sha256()
    variables: dict[str, str | None] = {}
    for file in source.files:
        try:
            data = file.read_bytes()
        except OSError as error:
            _unreadable(source, file, error)
            continue
        digest.update(os.fsencode(file.name) + b"\0" + data + b"\0")
        yaml = YamlFile(str(file), environ)
        try:
            _merge(source, yaml.read(data), yaml.places)
        except ConfigError as error:
            source.complete = False
            source.problems += error.problems
        source.problems += yaml.problems
        variables |= yaml.variables
    digest.update(repr(sorted(variables.items())).encode())
    source.digest = digest.hexdigest()[:12]
    return source


def _unreadable(source: Source, path: Path, error: OSError) -> Source:
    source.complete = False
    reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
    source.problems.append(Problem(str(path), 0, "", f"cannot be read: {reason}"))
    return source


def _merge(source: Source, values: dict[str, Any], places: dict[Steps, Place]) -> None:
    """Adds one file: deployments come together, every other key stands in one file only."""
    for key, value in values.items():
        present = source.values.get(key)
        if key not in source.values:
            source.values[key] = value
        elif key == "deployments" and isinstance(present, dict) and isinstance(value, dict):
            for name in value.keys() & present.keys():
                _given_twice(source, places, (key, name))
            source.values[key] = {**value, **present}
        else:
            _given_twice(source, places, (key,))
    source.places = {**places, **source.places}


def _given_twice(source: Source, places: dict[Steps, Place], steps: Steps) -> None:
    again = places[steps]
    rule = f"already given at {source.place(steps)}"
    fix = "give it another name, or remove one" if len(steps) > 1 else "keep it in one file"
    source.problems.append(Problem(again.file, again.line, dotted(steps), rule, fix=fix))

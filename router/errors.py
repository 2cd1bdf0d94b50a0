"""What can go wrong, said once: whose fault it is and what a person can do. Floor 0."""

from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb


class RouterError(Exception):
    """Base of every error this program raises on purpose; its text is fit for a person to read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration.

    `path` is the dotted place in the YAML (`deployments.loan.rollout.steps[1].share`), `found` the value
    that stood there, `rule` what is allowed, `fix` a suggestion (the nearest known key, for example).
    """

    file: str
    line: int
    path: str
    rule: str
    found: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{place}: {self.path}: " if self.path else f"{place}: "
        text += f"found {self.found}: {self.rule}" if self.found else self.rule
        return f"{text} ({self.fix})" if self.fix else text


def whence(error: BaseException) -> str:
    """`KeyError in streams.py:120`: of an error that nobody foresaw, without its text, in which data may stand."""
    frames = extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


class ConfigError(RouterError):
    """The configuration is refused whole. Holds every problem found, in file and line order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Refused(RouterError):
    """A call of the admin API that can't be carried out: an HTTP status and one sentence that says why.

    400 the call is wrong, 401 and 403 the caller may not make it, 404 nothing of that name, 409 the present
    phase forbids it, 412 it has changed since the caller looked, 503 not now.
    `phase` and `known` go into the problem+json answer where they help.
    """

    def __init__(self, status: int, detail: str, *, phase: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.phase = phase
        self.known = known

"""Where pairs differ: a few values of each request by which its pairs are counted apart.

A slice reads the request as redaction leaves it, so that it can show nothing that the log does not: of a hashed
value it sees the digest.
"""

from collections.abc import Mapping
from typing import Any

from router.pairs.pointer import split
from router.pairs.settings import SliceSource
from router.pairs.values import Hidden

MAX_VALUES = 20
"""Values of a slice that are told apart; further ones count as OTHER."""

MAX_LENGTH = 64
"""Characters of a value; what comes after is cut off."""

OTHER = "other"
NONE = "none"
"""The value of a request without one: no such header or member, or a member that is a list or an object."""


class Slicer:
    """One deployment's `slices`."""

    def __init__(self, slices: Mapping[str, SliceSource]) -> None:
        self._headers = {name: each.header.lower() for name, each in slices.items() if each.header}
        self._pointers = {name: split(each.pointer) for name, each in slices.items() if each.pointer}

    def of(self, headers: Mapping[str, str], body: Any) -> dict[str, str]:
        """The value of each slice, by the request's headers (lower-case names) and the JSON of its body."""
        found = {name: headers.get(header) for name, header in self._headers.items()}
        for name, segments in self._pointers.items():
            found[name] = _shown(member(body, segments))
        return {name: (value[:MAX_LENGTH] if value else NONE) for name, value in found.items()}

    def of_nothing(self) -> dict[str, str]:
        """The slices of a pair whose request is not known."""
        return dict.fromkeys((*self._headers, *self._pointers), NONE)


NO_SLICES = Slicer({})


class Values:
    """Keeps the number of values of each slice within bounds: first come, first told apart."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}

    def rows(self, slices: Mapping[str, str]) -> list[str]:
        """`<name>=<value>` for each slice."""
        return [f"{name}={self._bounded(name, value)}" for name, value in slices.items()]

    def _bounded(self, name: str, value: str) -> str:
        known = self._known.setdefault(name, {OTHER, NONE})
        if value in known:
            return value
        if len(known) >= MAX_VALUES + 2:
            return OTHER
        known.add(value)
        return value


def member(node: Any, segments: tuple[str, ...]) -> Any:
    """What a pointer without `*` leads to; None where that is nothing."""
    for segment in segments:
        if isinstance(node, dict):
            node = node.get(segment)
        elif isinstance(node, list) and segment.isascii() and segment.isdigit() and int(segment) < len(node):
            node = node[int(segment)]
        else:
            return None
    return node


def scalar(value: Any) -> str | None:
    """A scalar as a person would type it: strings as they are, `true`, numbers; None for anything else."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def _shown(value: Any) -> str | None:
    return value.shown if isinstance(value, Hidden) else scalar(value)

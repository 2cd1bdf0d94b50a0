"""JSON pointers (RFC 6901) with one addition: the segment `*` stands for every key or position."""

import re
from typing import Annotated

from pydantic import AfterValidator

_POINTER = re.compile(r"(/([^/~]|~[01])*)+")


def _check(pointer: str) -> str:
    if not _POINTER.fullmatch(pointer):
        raise ValueError(f"{pointer!r} is no JSON pointer: it begins with /, such as /inputs/0/data")
    return pointer


Pointer = Annotated[str, AfterValidator(_check)]
"""A pointer as it stands in the YAML."""


def split(pointer: str) -> tuple[str, ...]:
    """The segments of a pointer, unescaped."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def join(segments: tuple[str | int, ...]) -> str:
    """The pointer with these segments; the empty one is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in segments)


def covers(pattern: tuple[str, ...], at: tuple[str, ...]) -> bool:
    """Whether a place is what the pattern names, or lies within."""
    return len(pattern) <= len(at) and overlap(pattern, at)


def overlap(pattern: tuple[str, ...], at: tuple[str, ...]) -> bool:
    """Whether one of the two lies within the other."""
    return all("*" in (left, right) or left == right for left, right in zip(pattern, at, strict=False))

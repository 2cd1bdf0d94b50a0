"""The `pairs` section of a deployment: how its pairs are compared and what is left out of them."""

import re

from pydantic import field_validator

from router.pairs.comparators import Comparator
from router.pairs.comparators.json import JsonComparator
from router.spec import Spec

_POINTER = re.compile(r"(/([^/~]|~[01])*)+")


class RedactSpec(Spec):
    """`redact`: JSON pointers into request and answers, and header names, that never reach the disk."""

    request: tuple[str, ...] = ()
    response: tuple[str, ...] = ()
    headers: tuple[str, ...] = ("authorization", "cookie", "set-cookie", "proxy-authorization")

    @field_validator("request", "response")
    @classmethod
    def _pointers(cls, pointers: tuple[str, ...]) -> tuple[str, ...]:
        for pointer in pointers:
            if not _POINTER.fullmatch(pointer):
                raise ValueError(f"{pointer!r} is no JSON pointer: it begins with /, such as /inputs/0/data")
        return pointers


class PairSettings(Spec):
    """`pairs` of a deployment."""

    compare: Comparator = JsonComparator()
    redact: RedactSpec = RedactSpec()

"""The `pairs` section of a deployment: how its pairs are compared and what is left out of them."""

from router.pairs.comparators import Comparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.pointer import Pointer
from router.spec import Spec


class RedactSpec(Spec):
    """`redact`: JSON pointers into request and answers, and header names, that never reach the disk."""

    request: tuple[Pointer, ...] = ()
    response: tuple[Pointer, ...] = ()
    headers: tuple[str, ...] = ("authorization", "cookie", "set-cookie", "proxy-authorization")


class PairSettings(Spec):
    """`pairs` of a deployment."""

    compare: Comparator = JsonComparator()
    redact: RedactSpec = RedactSpec()

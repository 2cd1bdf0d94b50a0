"""What no single key can say: names that must exist, things that must differ.

Floor 3. Works on the values as they were read, before and beside the schema, and passes over what has not
the right shape (the schema says so): a misspelt key in one place hides no unknown version in another.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, get_args

from pydantic import ValidationError

from router.config.explain import nearest
from router.config.places import Steps
from router.config.schema import AdminSpec, Config, MatchSpec
from router.config.source import Source
from router.errors import Problem
from router.patterns.matching import ties
from router.patterns.registry import PATTERNS
from router.tls import PemFiles

_WILDCARDS = ("0.0.0.0", "[::]")


Refusals = Callable[[str, str, str], dict[str, str]]
"""Of the files `ca`, `cert` and `key` (empty: none), what is wrong with which (`tls.refusals`)."""


def check(
    source: Source, exists: Callable[[str], bool], refusals: Refusals, in_use: Collection[PemFiles] = ()
) -> list[Problem]:
    """All mistakes that take two places to see. `exists` says whether a file is there, `refusals` whether files that
    are there are what they should be; those `in_use` are not asked about."""
    problems = [*_versions(source), *_segments(source), *_matches(source), *_addresses(source)]
    return [*problems, *_certificates(source, exists, cache(refusals), in_use), *_tokens(source)]


def _entries(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _versions(source: Source) -> Iterator[Problem]:
    for name, deployment in _entries(source.values.get("deployments")).items():
        steps = ("deployments", name)
        versions = _entries(_entries(deployment).get("versions"))
        if isinstance(deployment, dict) and deployment.get("rollout") is None:
            if len(versions) > 1:
                rule = f"without a rollout there is one version; here are {', '.join(versions)}"
                fix = "add a rollout, or remove all versions but one"
                yield source.problem((*steps, "versions"), rule, fix=fix)
        elif versions:
            yield from _references(source, steps, list(versions))


def _references(source: Source, deployment: Steps, versions: list[str]) -> Iterator[Problem]:
    seen: dict[str, Steps] = {}
    for steps, name in _named_versions(source, (*deployment, "rollout")):
        if name not in versions:
            yield source.problem(steps, "no such version", f"`{name}`", nearest(name, versions))
        elif name in seen:
            rule = f"`{seen[name][-1]}` names this version already; a version has one part in a rollout"
            if isinstance(seen[name][-1], int):
                rule = "this version stands in the list already"
            yield source.problem(steps, rule, f"`{name}`")
        seen.setdefault(name, steps)


def _named_versions(source: Source, rollout: Steps) -> Iterator[tuple[Steps, str]]:
    """Every place in a rollout that names a version."""
    settings = _entries(source.value(rollout))
    for pattern in PATTERNS:
        if settings.get("pattern") not in get_args(pattern.model_fields["pattern"].annotation):
            continue
        for key in pattern.version_keys:
            value = settings.get(key)
            if isinstance(value, str):
                yield (*rollout, key), value
            for index, item in enumerate(_items(value)):
                if isinstance(item, str):
                    yield (*rollout, key, index), item


def _segments(source: Source) -> Iterator[Problem]:
    """Gates on segments name a slice of `pairs`; workers count requests apart by one, read from a header."""
    for name, deployment in _entries(source.values.get("deployments")).items():
        slices = _entries(_entries(_entries(deployment).get("pairs")).get("slices"))
        counted: dict[str, Steps] = {}
        for steps, gate in _gates(source, ("deployments", name, "rollout")):
            by = _entries(_entries(gate).get("segments")).get("by")
            if not isinstance(by, str):
                continue
            place = (*steps, "segments", "by")
            if by not in slices:
                fix = nearest(by, list(slices)) or f"add pairs: {{slices: {{{by}: {{header: x-{by}}}}}}}"
                yield source.problem(place, "no such slice", f"`{by}`", fix)
            elif _of_requests(gate) and not _entries(slices[by]).get("header"):
                rule = "requests are counted apart by a header, and this slice is read from the body"
                yield source.problem(place, rule, f"`{by}`", "use a slice with header, or a gate on pairs")
            elif _of_requests(gate) and counted.setdefault(by, place) is place and len(counted) > 1:
                rule = f"requests are counted apart by one slice, and `{next(iter(counted))}` is it already"
                yield source.problem(place, rule, f"`{by}`")


def _of_requests(gate: Any) -> bool:
    inner = _entries(_entries(_entries(gate).get("segments")).get("gate"))
    return "error_rate" in inner or "latency" in inner


def _gates(source: Source, rollout: Steps) -> Iterator[tuple[Steps, Any]]:
    """Every gate of a rollout, with its place."""
    settings = _entries(source.value(rollout))
    switch = _entries(settings.get("switch"))
    owners: list[tuple[Steps, Any]] = [(rollout, settings)]
    owners += [((*rollout, "steps", i), step) for i, step in enumerate(_items(settings.get("steps")))]
    owners += [((*rollout, "switch", "steps", i), step) for i, step in enumerate(_items(switch.get("steps")))]
    for place, owner in owners:
        for index, gate in enumerate(_items(_entries(owner).get("gates"))):
            yield (*place, "gates", index), gate


def _matches(source: Source) -> Iterator[Problem]:
    places: list[Steps] = []
    matches = []
    for name, deployment in _entries(source.values.get("deployments")).items():
        try:
            match = MatchSpec.model_validate(_entries(deployment).get("match"))
        except ValidationError:
            continue
        places.append(("deployments", name, "match"))
        matches.append(match.compile())
    for first, second in ties(matches):
        other = places[first]
        rule = (
            f"claims the same requests as `{other[1]}` ({source.place(other)}), and neither is more specific"
        )
        fix = "give one of them a host, a longer path, methods or headers that tell them apart"
        yield source.problem(places[second], rule, fix=fix)


def _listeners(source: Source) -> list[tuple[Steps, Any]]:
    """Every entry of `listen` with its place; `listen` itself where it is not a list."""
    listen = source.values.get("listen")
    if isinstance(listen, list):
        return [(("listen", index), item) for index, item in enumerate(listen)]
    return [(("listen",), listen)]


def _addresses(source: Source) -> Iterator[Problem]:
    default = Config.model_fields["listen"].default[0].address
    taken: list[str] = []
    for steps, item in _listeners(source):
        address = item.get("address") if isinstance(item, dict) else default if item is None else item
        if isinstance(address, str):
            if any(_clash(address, other) for other in taken):
                yield source.problem(steps, "another listener has this address", f"`{address}`")
            taken.append(address)
    admin = _entries(source.values.get("admin")).get("listen", AdminSpec.model_fields["listen"].default)
    if isinstance(admin, str) and any(_clash(admin, other) for other in taken):
        given = ("admin", "listen") in source.places
        rule = "the admin API and the data plane need addresses of their own"
        yield source.problem(("admin", "listen") if given else ("listen",), rule, f"`{admin}`")


def _clash(one: str, other: str) -> bool:
    """Whether two addresses cannot both be bound: the same port on the same host, or on all of its family."""
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if port != other_port or port == "0":
        return False
    same_family = (host[:1] == "[") == (other_host[:1] == "[")
    return host == other_host or (same_family and (host in _WILDCARDS or other_host in _WILDCARDS))


def _certificates(
    source: Source, exists: Callable[[str], bool], refusals: Refusals, in_use: Collection[PemFiles]
) -> Iterator[Problem]:
    owners = [*_listeners(source), (("admin",), source.values.get("admin"))]
    for name, deployment in _entries(source.values.get("deployments")).items():
        for label, version in _entries(_entries(deployment).get("versions")).items():
            owners.append((("deployments", name, "versions", label), version))
    for steps, item in owners:
        tls = _entries(_entries(item).get("tls"))
        files = {key: tls[key] for key in ("ca", "cert", "key") if isinstance(tls.get(key), str) and tls[key]}
        ca, cert, key = (files.get(each, "") for each in ("ca", "cert", "key"))
        if (ca, cert, key) in in_use:
            continue
        missing = [key for key, file in files.items() if not exists(file)]
        for key in missing:
            yield source.problem((*steps, "tls", key), "no such file", f"`{files[key]}`")
        if not missing:
            for wrong, trouble in refusals(ca, cert, key).items():
                yield source.problem((*steps, "tls", wrong), f"the file {trouble}", f"`{files[wrong]}`")


def _tokens(source: Source) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(_items(_entries(source.values.get("admin")).get("tokens"))):
        for key in ("name", "token"):
            value = _entries(item).get(key)
            if not isinstance(value, str):
                continue
            if (key, value) in seen:
                rule = f"two tokens have the same {'name' if key == 'name' else 'value'}"
                found = f"`{value}`" if key == "name" else ""
                yield source.problem(("admin", "tokens", index, key), rule, found)
            seen.add((key, value))

"""Checks across keys: on whatever shape the values have, beside any other mistake."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.checks import Refusals, check
from router.config.places import Place
from router.config.source import Source


def nothing_wrong(ca: str, cert: str, key: str) -> dict[str, str]:
    return {}


def problems(exists: bool = True, refusals: Refusals = nothing_wrong, **values: Any) -> list[tuple[str, str]]:
    source = Source(Place("f.yaml", 1), values)
    return [(problem.path, problem.rule) for problem in check(source, lambda _: exists, refusals)]


def paths(exists: bool = True, **values: Any) -> list[str]:
    return [path for path, _ in problems(exists, **values)]


def loan(rollout: Any, *versions: str) -> dict[str, Any]:
    return {"loan": {"match": {"path": "/a"}, "versions": dict.fromkeys(versions), "rollout": rollout}}


@pytest.mark.parametrize(
    ("rollout", "wrong"),
    [
        ({"pattern": "canary", "stable": "v1", "candidate": "v2"}, []),
        ({"pattern": "canary", "stable": "v1", "candidate": "v3"}, ["candidate"]),
        ({"pattern": "canary", "stable": "x", "candidate": "y"}, ["stable", "candidate"]),
        ({"pattern": "canary", "stable": "v1", "candidate": "v1"}, ["candidate"]),
        ({"pattern": "canary", "stable": "v9", "candidte": "v2"}, ["stable"]),
        ({"pattern": "canary", "stable": 1, "candidate": ["v2"]}, []),
        ({"pattern": "blue_green", "blue": "v1", "green": "v1"}, ["green"]),
        ({"pattern": "blue_green", "blue": "v1", "green": "v3"}, ["green"]),
        ({"pattern": "shadow", "primary": "v1", "shadows": ["v2"]}, []),
        ({"pattern": "shadow", "primary": "v1", "shadows": ["v2", "v3", "v1", "v2"]}, ["[1]", "[2]", "[3]"]),
        ({"pattern": "unheard_of", "stable": "v9"}, []),
        ({"stable": "v9"}, []),
        ("canary", []),
    ],
)
def test_versions_named_in_a_rollout(rollout: Any, wrong: list[str]) -> None:
    found = paths(deployments=loan(rollout, "v1", "v2"))
    assert len(found) == len(wrong)
    assert all(path.endswith(end) for path, end in zip(found, wrong, strict=True))


def test_versions_without_a_rollout() -> None:
    assert paths(deployments=loan(None, "v1")) == []
    assert paths(deployments=loan(None, "v1", "v2")) == ["deployments.loan.versions"]


def test_ties_name_the_other_deployment_and_pass_over_bad_matches() -> None:
    deployments = {
        "a": {"match": {"path": "/x/**"}},
        "b": {"match": {"path": "no slash"}},
        "c": {"match": {"path": "/x/**", "methods": ["GET"]}},
        "d": {"match": {"path": "/x/**"}},
        "e": {"match": {"path": "//x/**"}},
    }
    found = problems(deployments=deployments)
    assert [path for path, _ in found] == ["deployments.d.match", "deployments.e.match"]
    assert all("`a`" in rule for _, rule in found)


@pytest.mark.parametrize(
    ("listen", "admin", "wrong"),
    [
        ("127.0.0.1:1", "127.0.0.1:2", []),
        ("127.0.0.1:1", "127.0.0.1:1", ["listen"]),
        ("127.0.0.1:8081", None, ["listen"]),
        (None, "127.0.0.1:8080", ["listen"]),
        ("0.0.0.0:1", "127.0.0.1:1", ["listen"]),
        ("0.0.0.0:1", "[::1]:1", []),
        (["0.0.0.0:1", "[::]:1"], "127.0.0.1:2", []),
        (["127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1"], None, ["listen[1]", "listen[2]"]),
        (["127.0.0.1:1", {"address": "0.0.0.0:1"}], None, ["listen[1]"]),
        (["127.0.0.1:0", "127.0.0.1:0"], "127.0.0.1:0", []),
    ],
)
def test_addresses_differ(listen: Any, admin: str | None, wrong: list[str]) -> None:
    values: dict[str, Any] = {}
    if listen is not None:
        values["listen"] = listen
    if admin is not None:
        values["admin"] = {"listen": admin}
    assert paths(**values) == wrong


def test_certificates_exist() -> None:
    tls = {"address": "127.0.0.1:1", "tls": {"cert": "a", "key": "b"}}
    assert paths(listen=tls) == []
    assert paths(exists=False, listen=tls) == ["listen.tls.cert", "listen.tls.key"]
    assert paths(exists=False, listen=["127.0.0.1:2", tls]) == ["listen[1].tls.cert", "listen[1].tls.key"]
    assert paths(exists=False, admin={"tls": {"cert": "a", "key": "b"}}) == [
        "admin.tls.cert",
        "admin.tls.key",
    ]


def test_certificates_are_what_they_should_be_and_each_is_looked_at_once() -> None:
    asked: list[tuple[str, str, str]] = []

    def refusals(*files: str) -> dict[str, str]:
        asked.append(files)  # type: ignore[arg-type]
        return {"key": "is not the key of this certificate"} if files[2] else {"ca": "is empty"}

    pair = {"cert": "a", "key": "b"}
    trusting = {"versions": {"v1": {"tls": {"ca": "c"}}, "v2": {"tls": {"ca": "c"}}}, "rollout": {}}
    tls: dict[str, Any] = {"listen": {"tls": pair}, "admin": {"tls": pair}, "deployments": {"loan": trusting}}
    assert problems(refusals=refusals, **tls) == [
        ("listen.tls.key", "the file is not the key of this certificate"),
        ("admin.tls.key", "the file is not the key of this certificate"),
        ("deployments.loan.versions.v1.tls.ca", "the file is empty"),
        ("deployments.loan.versions.v2.tls.ca", "the file is empty"),
    ]
    assert asked == [("", "a", "b"), ("c", "", "")]


def test_certificates_in_use_are_not_asked_about_again() -> None:
    """Half a renewal of theirs is no reason to refuse an edit; other files are looked at as ever."""
    values = {"listen": {"tls": {"cert": "a", "key": "b"}}, "admin": {"tls": {"cert": "a", "key": "c"}}}
    source = Source(Place("f.yaml", 1), values)
    found = check(source, lambda _: False, nothing_wrong, {("", "a", "b")})
    assert [each.path for each in found] == ["admin.tls.cert", "admin.tls.key"]


def test_tokens_differ_in_name_and_value() -> None:
    tokens = [
        {"name": "a", "token": "1"},
        {"name": "b", "token": "1"},
        {"name": "a", "token": "b"},
        "odd",
        {"name": 5},
    ]
    assert paths(admin={"tokens": tokens}) == ["admin.tokens[1].token", "admin.tokens[2].name"]


def watched(*gates: dict[str, Any], slices: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """The problems of a deployment whose steps have these gates, one each; a single one stands in a switch too."""
    steps = [{"share": "5%", "gates": [gate]} for gate in gates]
    rollout = {"steps": steps, "switch": {"steps": [{"gates": [*gates]}]} if len(gates) == 1 else None}
    return problems(deployments={"a": {"pairs": {"slices": slices or {}}, "rollout": rollout}})


def by(slice: str, inner: str) -> dict[str, Any]:
    return {"segments": {"by": slice, "gate": {inner: {}}}}


def test_segments_are_of_a_slice_that_is_there() -> None:
    found = watched(by("regoin", "error_rate"), slices={"region": {"header": "x"}})
    place = "deployments.a.rollout.{}.gates[0].segments.by".format
    assert found == [(place("steps[0]"), "no such slice"), (place("switch.steps[0]"), "no such slice")]


def test_requests_are_counted_apart_by_one_slice_and_that_a_header() -> None:
    slices = {"region": {"header": "x"}, "tenant": {"header": "y"}, "kind": {"json": "/kind"}}
    assert watched(by("region", "error_rate"), by("region", "latency"), slices=slices) == []
    assert watched(by("region", "error_rate"), by("kind", "agreement"), slices=slices) == []
    assert "read from the body" in watched(by("kind", "latency"), slices=slices)[0][1]
    ((path, rule),) = watched(by("region", "error_rate"), by("tenant", "latency"), slices=slices)
    assert path == "deployments.a.rollout.steps[1].gates[0].segments.by"
    assert "`region` is it already" in rule


KEYS = ["deployments", "listen", "admin", "tokens", "tls", "cert", "match", "versions", "rollout", "pattern"]
KEYS += ["gates", "segments", "by", "steps", "switch", "pairs", "slices"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "v1", "canary", "127.0.0.1:1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(KEYS[:3]), ANYTHING))
def test_values_of_any_shape_are_passed_over(values: dict[str, Any]) -> None:
    check(Source(Place("f.yaml", 1), values), lambda _: False, nothing_wrong)

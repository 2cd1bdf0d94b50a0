"""The lookup against a naive oracle, its order, its ties, its normal form and its cost."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.patterns.matching import Table, Tie, normal_path, ties
from router.patterns.plan import Match
from tests.support.properties import examples


def find(matches: list[Match], path: str, host: str = "h", method: str = "POST", **fields: str) -> int | None:
    table = Table((match, index) for index, match in enumerate(matches))
    names = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    return table.lookup(host.encode(), path.encode(), method.encode(), names)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a/", "/a/", True),
        ("/a", "/A", False),
        ("/", "/", True),
        ("/*", "/", False),
        ("/*", "/a", True),
        ("/*", "/a/b", False),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a//c", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/a/*/**", "/a", False),
        ("/a/*/**", "/a/b", True),
        ("/v1/models/m:predict", "/v1/models/m:predict", True),
        ("/modèle", "/mod%c3%a8le", True),
        ("/a b", "/a%20b", True),
        ("/a%2Fb", "/a%2fb", True),
        ("/a%2Fb", "/a/b", False),
        ("", "*", True),
        ("/**", "*", False),
    ],
)
def test_paths(pattern: str, path: str, matches: bool) -> None:
    match = Match(path=pattern) if pattern else Match(methods=("POST",))
    assert (find([match], path) is not None) is matches


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (Match(host="h", methods=("POST",)), Match(path="/a/b/c")),
        (Match(path="/a/b/c"), Match(path="/a/b/*")),
        (Match(path="/a/*/**"), Match(path="/*/b/c")),
        (Match(path="/a/**"), Match(path="/*/b/c")),
        (Match(path="/a/b/*"), Match(path="/a/b/**")),
        (Match(path="/a/b/c"), Match(path="/a/b/c/**")),
        (Match(path="/**"), Match(headers=(("x-a", "1"), ("x-b", "2")), methods=("POST",))),
        (Match(headers=(("x-a", "1"), ("x-b", "2"))), Match(headers=(("x-a", "1"),), methods=("POST",))),
        (Match(path="/a/b/c", headers=(("x-a", "1"),)), Match(path="/a/b/c", methods=("POST",))),
        (Match(path="/a/b/c", methods=("POST",)), Match(path="/a/b/c")),
        (
            Match(path="/a/b/c", headers=(("x-a", "1"),), methods=("POST",)),
            Match(path="/a/b/c", headers=(("x-b", "2"),)),
        ),
    ],
)
def test_the_more_specific_match_wins_in_any_order(winner: Match, loser: Match) -> None:
    assert find([winner, loser], "/a/b/c", x_a="1", x_b="2") == 0
    assert find([loser, winner], "/a/b/c", x_a="1", x_b="2") == 1


def test_the_less_specific_match_takes_what_the_other_does_not() -> None:
    matches = [
        Match(host="h", path="/a/b", methods=("GET",)),
        Match(path="/a/b", headers=(("x-a", "1"),)),
        Match(path="/*/b", methods=("POST",)),
        Match(path="/a/**", headers=(("x-a", "2"),)),
        Match(host="h"),
    ]
    assert find(matches, "/a/b", method="GET") == 0
    assert find(matches, "/a/b", host="other", x_a="1") == 1
    assert find(matches, "/a/b", host="other") == 2
    assert find(matches, "/a/b", host="other", method="PUT", x_a="2") == 3
    assert find(matches, "/a/b", method="PUT") == 4
    assert find(matches, "/a/b", host="other", method="PUT") is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Match(path="/a"), Match(path="/a")),
        (Match(path="/a/**"), Match(path="//a/./**")),
        (Match(path="/%61"), Match(path="/a")),
        (Match(host="h", path="/a"), Match(host="h", path="/a")),
        (Match(host="bücher.example"), Match(host="xn--bcher-kva.example")),
        (Match(path="/a", methods=("GET", "POST")), Match(path="/a", methods=("POST", "PUT"))),
        (Match(path="/a", headers=(("x-a", "1"),)), Match(path="/a", headers=(("x-b", "1"),))),
        (
            Match(path="/a", headers=(("x-a", "1"), ("x-b", "1"))),
            Match(path="/a", headers=(("x-c", "1"), ("x-a", "1"))),
        ),
    ],
)
def test_matches_with_equal_right_are_refused(first: Match, second: Match) -> None:
    other = Match(path="/other")
    assert list(ties([first, other, second])) == [(0, 2)]
    with pytest.raises(Tie) as caught:
        Table([(first, "one"), (other, "two"), (second, "three")])
    assert (caught.value.first, caught.value.second) == (0, 2)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Match(path="/a"), Match(path="/a/")),
        (Match(path="/a/*"), Match(path="/a/**")),
        (Match(path="/*/b"), Match(path="/a/*")),
        (Match(host="h", path="/a"), Match(host="i", path="/a")),
        (Match(path="/a", methods=("GET",)), Match(path="/a", methods=("POST",))),
        (Match(path="/a", methods=("GET",)), Match(path="/a")),
        (Match(path="/a", headers=(("x-a", "1"),)), Match(path="/a", headers=(("x-a", "2"),))),
        (Match(path="/a", headers=(("x-a", "1"),)), Match(path="/a")),
        (
            Match(path="/a", headers=(("x-a", "1"), ("x-b", "1"))),
            Match(path="/a", headers=(("x-c", "1"), ("x-a", "2"))),
        ),
    ],
)
def test_matches_that_can_be_told_apart_are_accepted(first: Match, second: Match) -> None:
    assert list(ties([first, second])) == []


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/v2/models/loan/infer", b"/v2/models/loan/infer"),
        (b"/.hidden/a.b/..c/d..", b"/.hidden/a.b/..c/d.."),
        (b"/public/../admin", b"/admin"),
        (b"/public/%2e%2E/admin", b"/admin"),
        (b"/a/./b", b"/a/b"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/.", b"/a/b/"),
        (b"/../../a", b"/a"),
        (b"/..", b"/"),
        (b"//a///b//", b"/a/b/"),
        (b"/a//../b", b"/b"),
        (b"/%41%7e%2D", b"/A~-"),
        (b"/a%2fb%3a", b"/a%2Fb%3A"),
        (b"/%zz%4", b"/%zz%4"),
        (b"/%252e%252e/a", b"/%252e%252e/a"),
        (b"*", b"*"),
        (b"", b""),
    ],
)
def test_normal_form(path: bytes, normal: bytes) -> None:
    assert normal_path(path) == normal


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b"%2e", b"%2E.", b"%41", b"%2f", b"b.c"])))
def test_normal_form_is_final_and_holds_no_way_up(segments: list[bytes]) -> None:
    normal = normal_path(b"/" + b"/".join(segments))
    assert normal_path(normal) == normal
    assert normal.startswith(b"/")
    assert not {b".", b".."} & set(normal.split(b"/"))
    assert b"//" not in normal


def test_a_way_up_cannot_leave_a_match_behind() -> None:
    matches = [Match(path="/public/**"), Match(path="/admin/**")]
    for path in ("/public/../admin/x", "/public/%2e%2e/admin/x", "//admin/x", "/public/.././admin/x"):
        assert find(matches, path) == 1


def test_a_host_beyond_ascii_is_met_in_its_form_on_the_wire() -> None:
    assert find([Match(host="bücher.example")], "/", host="xn--bcher-kva.example") == 0


# The oracle: every match looked at, the most specific taken.

SEGMENTS = ["a", "b"]


def holds(match: Match, host: str, path: str, method: str, fields: dict[str, str]) -> bool:
    return (
        match.host in ("", host)
        and match.methods in ((), *([match.methods] if method in match.methods else []))
        and all(fields.get(name) == value for name, value in match.headers)
        and (not match.path or path_holds(match.path.split("/")[1:], path.split("/")[1:]))
    )


def path_holds(pattern: list[str], segments: list[str]) -> bool:
    if not pattern:
        return not segments
    if pattern[0] == "**":
        return True
    if not segments or (segments[0] != pattern[0] and (pattern[0] != "*" or not segments[0])):
        return False
    return path_holds(pattern[1:], segments[1:])


def rank(match: Match) -> tuple[bool, list[int], int, bool]:
    path = [{"*": 2, "**": 1}.get(segment, 3) for segment in match.path.split("/")[1:]] + [2]
    return bool(match.host), path if match.path else [], len(match.headers), bool(match.methods)


def patterns() -> st.SearchStrategy[str]:
    body = st.lists(st.sampled_from([*SEGMENTS, "*"]), min_size=1, max_size=2)
    return st.builds(lambda parts, rest: "/" + "/".join([*parts, *rest]), body, st.sampled_from([[], ["**"]]))


def headers() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    values = st.sampled_from(["1", "2"])
    return st.dictionaries(st.sampled_from(["x-a", "x-b"]), values).map(lambda d: tuple(sorted(d.items())))


def matches() -> st.SearchStrategy[Match]:
    methods = st.sampled_from([(), (), ("GET",), ("POST",), ("GET", "POST")])
    return st.builds(Match, st.sampled_from(["", "h", "i"]), st.just("") | patterns(), methods, headers())


@settings(max_examples=examples(150))
@given(st.lists(matches(), max_size=30), st.data())
def test_the_lookup_agrees_with_looking_at_every_match(
    given_matches: list[Match], data: st.DataObject
) -> None:
    tied = {later for _, later in ties(given_matches)}
    kept = [match for index, match in enumerate(given_matches) if index not in tied]
    table = Table((match, match) for match in kept)
    for _ in range(5):
        host = data.draw(st.sampled_from(["h", "i", "j"]))
        path = "/" + "/".join(data.draw(st.lists(st.sampled_from(SEGMENTS), max_size=3)))
        method = data.draw(st.sampled_from(["GET", "POST"]))
        fields = dict(data.draw(headers()))
        candidates = sorted((m for m in kept if holds(m, host, path, method, fields)), key=rank)
        encoded = {name.encode(): value.encode() for name, value in fields.items()}
        found = table.lookup(host.encode(), path.encode(), method.encode(), encoded)
        assert found is (candidates[-1] if candidates else None)
        if len(candidates) > 1:
            assert rank(candidates[-1]) > rank(candidates[-2]), "a tie was let through"


def operations(call: Callable[[], Any]) -> int:
    """Bytecodes that run in Python while `call` does: a cost that no busy machine disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


KINDS: dict[str, Callable[[int], Match]] = {
    "rest": lambda i: Match(path=f"/v2/models/m{i}/**"),
    "exact": lambda i: Match(path=f"/v2/models/m{i}/infer"),
    "star": lambda i: Match(path=f"/v2/*/m{i}/infer"),
    "host": lambda i: Match(host=f"m{i}.example.com"),
    "header": lambda i: Match(path="/v2/models/m7/infer", headers=(("x-tenant", f"t{i}"),)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_deployments_cost_a_lookup_what_one_does(kind: str) -> None:
    def cost(numbers: range) -> int:
        table = Table((KINDS[kind](i), i) for i in numbers)
        fields = {b"host": b"m7.example.com", b"x-tenant": b"t7"}

        def lookup() -> None:
            assert table.lookup(b"m7.example.com", b"/v2/models/m7/infer", b"POST", fields) == 7

        return operations(lookup)

    one, thousand = cost(range(7, 8)), cost(range(1000))
    assert one > 20, "the counter counts"
    assert thousand <= 1.1 * one

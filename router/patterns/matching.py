"""Which deployment a request belongs to: all matches compiled to one lookup.

Floor 2. The cost of a lookup depends on the request (its number of path segments) and on how many kinds of
match share one path, never on the number of deployments.

Of all matches that hold for a request the most specific one wins. Compared in this order, the first
difference decides:

1. a match with `host` goes before one without;
2. the path, segment by segment from the left: a literal segment before `*`, both before `**`, and any path
   before none;
3. the match that names more headers;
4. a match with `methods` goes before one without.

Two matches tie when these four are equal, host and path are the same, their methods have one in common (or
neither names any) and no header is asked of both with different values. Some request could then belong to
either, so `Table` refuses them.

Paths are compared in a normal form, made of a copy: the request is forwarded exactly as it came.
`%41` is `A` (RFC 3986 unreserved characters are decoded, `%2f` stays one segment and is written `%2F`),
`//` is `/`, then `.` and `..` segments are taken out, so `/public/../admin` is looked up as `/admin`, which
is what the server behind will make of it. A last slash counts: `/a/` is not `/a`; `/a/**` matches both.
`*` stands for exactly one segment that is not empty, `**` for any rest, also for none.
A target that is no path (`*` of OPTIONS) meets only matches without a path.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from router.errors import RouterError
from router.patterns.plan import Match

T = TypeVar("T")

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Tie(RouterError):
    """Two matches claim the same requests with equal right: positions in the order they were given."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(
            f"matches {first} and {second} claim the same requests, and neither is more specific"
        )
        self.first = first
        self.second = second


def normal_path(path: bytes) -> bytes:
    """The form in which paths are compared (see above). Plain paths come back as they are."""
    if b"%" not in path and b"//" not in path and b"/." not in path:
        return path
    path = _ESCAPE.sub(_decoded, path)
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments[1:]:
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    if segments[-1] in (b"", b".", b".."):
        kept.append(b"")
    return b"/".join([segments[0], *kept])


def _decoded(escape: re.Match[bytes]) -> bytes:
    byte = int(escape[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else escape[0].upper()


def _pattern_path(path: str) -> bytes:
    """A path of the YAML as it stands on the wire: what is beyond ASCII, percent-encoded."""
    wire = (b"%%%02X" % byte if byte <= 0x20 or byte >= 0x7F else bytes((byte,)) for byte in path.encode())
    return normal_path(b"".join(wire))


def _host(match: Match) -> bytes:
    """The host as it stands on the wire, names beyond ASCII in punycode."""
    return match.host.encode("idna")


def ties(matches: Sequence[Match]) -> Iterator[tuple[int, int]]:
    """Positions of every match that ties with an earlier one, with the first such; (earlier, later)."""
    rivals: dict[tuple[bytes, bytes, int, bool], _Rivals] = {}
    for index, match in enumerate(matches):
        rank = (_host(match), _pattern_path(match.path), len(match.headers), bool(match.methods))
        earlier = rivals.setdefault(rank, _Rivals()).meet(index, match)
        if earlier is not None:
            yield earlier, index


_Members = list[tuple[int, frozenset[str]]]


class _Rivals:
    """Matches with one host, path and rank, kept by what they ask of headers: a thousand tenants told apart
    by one header are compared with nobody."""

    __slots__ = ("_by_headers",)

    def __init__(self) -> None:
        self._by_headers: dict[tuple[str, ...], dict[tuple[str, ...], _Members]] = {}

    def meet(self, index: int, match: Match) -> int | None:
        """Takes the match in; the position of one it ties with, if any."""
        headers = dict(sorted(match.headers))
        names, values = tuple(headers), tuple(headers.values())
        methods = frozenset(match.methods)
        for other_names, groups in self._by_headers.items():
            for other_values, members in _possible(names, values, other_names, groups):
                if any(headers.get(n, v) != v for n, v in zip(other_names, other_values, strict=True)):
                    continue
                for earlier, other_methods in members:
                    if methods & other_methods or not methods:
                        return earlier
        self._by_headers.setdefault(names, {}).setdefault(values, []).append((index, methods))
        return None


def _possible(
    names: tuple[str, ...],
    values: tuple[str, ...],
    other_names: tuple[str, ...],
    groups: dict[tuple[str, ...], _Members],
) -> Iterable[tuple[tuple[str, ...], _Members]]:
    """The groups of one set of header names that `values` may not exclude: of its own names, just its own."""
    if names != other_names:
        return groups.items()
    return [(values, groups[values])] if values in groups else []


class _Leaf(Generic[T]):
    """The matches of one host and path. `kinds` holds, most specific first, one table for every set of header
    names with and without methods; a table maps (method, *header values) to its entry."""

    __slots__ = ("kinds", "plain")

    def __init__(self) -> None:
        self.kinds: list[tuple[tuple[bytes, ...], bool, dict[tuple[bytes | None, ...], T]]] = []
        self.plain: T | None = None

    def add(self, match: Match, entry: T) -> None:
        if not match.headers and not match.methods:
            self.plain = entry
            return
        headers = sorted((name.encode(), value.encode()) for name, value in match.headers)
        names = tuple(name for name, _ in headers)
        values = tuple(value for _, value in headers)
        table = self._table(names, bool(match.methods))
        for method in match.methods or (None,):
            table[(method.encode() if method else None, *values)] = entry

    def _table(self, names: tuple[bytes, ...], by_method: bool) -> dict[tuple[bytes | None, ...], T]:
        for known, known_by_method, table in self.kinds:
            if known == names and known_by_method == by_method:
                return table
        fresh: dict[tuple[bytes | None, ...], T] = {}
        self.kinds.append((names, by_method, fresh))
        self.kinds.sort(key=lambda kind: (-len(kind[0]), not kind[1]))
        return fresh

    def find(self, method: bytes, fields: Mapping[bytes, bytes]) -> T | None:
        """The most specific entry whose methods and headers hold."""
        for names, by_method, table in self.kinds:
            entry = table.get((method if by_method else None, *map(fields.get, names)))
            if entry is not None:
                return entry
        return self.plain


class _Node(Generic[T]):
    """One place in the tree of path segments. `end`: patterns that end here; `rest`: those with `**` here."""

    __slots__ = ("children", "end", "rest", "star")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node[T]] = {}
        self.star: _Node[T] | None = None
        self.end: _Leaf[T] | None = None
        self.rest: _Leaf[T] | None = None


class _Paths(Generic[T]):
    """All matches of one host."""

    __slots__ = ("exact", "pathless", "root")

    def __init__(self) -> None:
        self.exact: dict[bytes, _Leaf[T]] = {}
        self.root: _Node[T] | None = None
        self.pathless: _Leaf[T] | None = None

    def leaf(self, path: bytes) -> _Leaf[T]:
        """Where matches with this pattern are kept."""
        if not path:
            self.pathless = self.pathless or _Leaf()
            return self.pathless
        segments = path.split(b"/")[1:]
        if b"*" not in segments and segments[-1] != b"**":
            return self.exact.setdefault(path, _Leaf())
        self.root = node = self.root or _Node()
        for segment in segments:
            if segment == b"**":
                node.rest = node.rest or _Leaf()
                return node.rest
            if segment == b"*":
                node.star = node = node.star or _Node()
            else:
                node = node.children.setdefault(segment, _Node())
        node.end = node.end or _Leaf()
        return node.end

    def find(self, path: bytes, method: bytes, fields: Mapping[bytes, bytes]) -> T | None:
        """The most specific entry for a path in its normal form."""
        leaf = self.exact.get(path)
        if leaf is not None:
            entry = leaf.find(method, fields)
            if entry is not None:
                return entry
        if self.root is not None and path[:1] == b"/":
            entry = _descend(self.root, path.split(b"/"), method, fields)
            if entry is not None:
                return entry
        return self.pathless.find(method, fields) if self.pathless is not None else None


def _descend(root: _Node[T], segments: list[bytes], method: bytes, fields: Mapping[bytes, bytes]) -> T | None:
    """The most specific entry below `root`: literal first, then `*`, then `**`, going back where a way ends.

    `open_ways` is the stack of ways not yet taken, the next best on top: a leaf of `**` to try, or a node to
    go on from with the segment at a position.
    """
    open_ways: list[tuple[_Leaf[T] | None, _Node[T], int]] = []
    node, at, count = root, 1, len(segments)
    while True:
        while True:
            leaf = node.rest
            if leaf is not None:
                open_ways.append((leaf, node, 0))
            if at == count:
                leaf = node.end
                break
            segment = segments[at]
            at += 1
            if segment and node.star is not None:
                open_ways.append((None, node.star, at))
            child = node.children.get(segment)
            if child is None:
                leaf = None
                break
            node = child
        while True:
            if leaf is not None:
                entry = leaf.find(method, fields)
                if entry is not None:
                    return entry
            if not open_ways:
                return None
            leaf, node, at = open_ways.pop()
            if leaf is None:
                break


class Table(Generic[T]):
    """An immutable lookup from requests to entries (which must not be None).

    Raises Tie when two of the matches claim the same requests with equal right.
    """

    __slots__ = ("_any_host", "_hosts")

    def __init__(self, entries: Iterable[tuple[Match, T]]) -> None:
        pairs = list(entries)
        for first, second in ties([match for match, _ in pairs]):
            raise Tie(first, second)
        self._any_host: _Paths[T] = _Paths()
        self._hosts: dict[bytes, _Paths[T]] = {}
        for match, entry in pairs:
            paths = self._any_host
            if match.host:
                paths = self._hosts.setdefault(_host(match), _Paths())
            paths.leaf(_pattern_path(match.path)).add(match, entry)

    def lookup(self, host: bytes, path: bytes, method: bytes, fields: Mapping[bytes, bytes]) -> T | None:
        """The entry this request belongs to, or None.

        `host` in lower case without port, `path` as it came but without query, names of `fields` in lower
        case.
        """
        if b"%" in path or b"//" in path or b"/." in path:
            path = normal_path(path)
        paths = self._hosts.get(host)
        if paths is not None:
            entry = paths.find(path, method, fields)
            if entry is not None:
                return entry
        return self._any_host.find(path, method, fields)

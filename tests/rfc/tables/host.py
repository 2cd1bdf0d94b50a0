"""Host, and what an absolute target says instead (RFC 9112 §3.2)."""

from tests.rfc.cases import FromClient, Passed, passes, refuses


def ask(*lines: bytes, target: bytes = b"/x", version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\n%b\r\n" % (target, version, b"".join(line + b"\r\n" for line in lines))


def good(name: str, value: bytes) -> FromClient:
    return passes(f"Host {name}", "9110 §7.2", ask(b"host: " + value), Passed(b"GET /x"))


def bad(name: str, value: bytes) -> FromClient:
    return refuses(f"Host {name}", "9112 §3.2", ask(b"host:" + value))


CASES = (
    good("of a name", b"a.example"),
    good("with a port", b"a.example:8080"),
    good("with an empty port", b"a.example:"),
    good("of one label", b"localhost"),
    good("with an underscore", b"my_service:80"),
    good("of IPv4", b"192.0.2.1:80"),
    good("of IPv6", b"[2001:db8::1]"),
    good("of IPv6 with a port", b"[::1]:80"),
    good("in upper case", b"A.EXAMPLE"),
    good("with a last dot", b"a.example."),
    good("escaped", b"caf%C3%A9.example"),
    good("with spaces around", b"  a  "),
    refuses("no Host", "9112 §3.2", ask()),
    refuses("no Host with other fields", "9112 §3.2", ask(b"accept: */*")),
    refuses("no Host with an absolute target", "9112 §3.2", ask(target=b"http://a.example/x")),
    refuses("no Host with an asterisk", "9112 §3.2", b"OPTIONS * HTTP/1.1\r\n\r\n"),
    refuses("two Hosts", "9112 §3.2", ask(b"host: a", b"host: b")),
    refuses("two Hosts alike", "9112 §3.2", ask(b"host: a", b"host: a")),
    refuses("two Hosts in different case", "9112 §3.2", ask(b"Host: a", b"HOST: b")),
    refuses("two Hosts with a field between", "9112 §3.2", ask(b"host: a", b"accept: b", b"host: c")),
    refuses(
        "two Hosts with an absolute target", "9112 §3.2", ask(b"host: a", b"host: b", target=b"http://a/x")
    ),
    refuses("two Hosts in HTTP/1.0", "9112 §3.2", ask(b"host: a", b"host: b", version=b"1.0")),
    refuses("a second Host that is empty", "9112 §3.2", ask(b"host: a", b"host:")),
    refuses("Host only behind a fold", "9112 §5.2", ask(b"accept: a", b" host: b")),
    refuses("space before the colon of Host", "9112 §5.1", ask(b"host : a")),
    bad("that is empty", b""),
    bad("of spaces", b"  "),
    bad("with a space", b" a b"),
    bad("with a tab", b" a\tb"),
    bad("with a slash", b" a/b"),
    bad("with a user", b" u@a"),
    bad("with a comma", b" a, b"),
    bad("of a URL", b" http://a"),
    bad("with a query", b" a?b"),
    bad("with a fragment", b" a#b"),
    bad("with a backslash", b" a\\b"),
    bad("with a quote", b' "a"'),
    bad("with an angle bracket", b" <a>"),
    bad("with a bad port", b" a:b"),
    bad("with two ports", b" a:1:2"),
    bad("with a port of six digits", b" a:000080"),
    bad("with a port of thousands of digits", b" a:" + b"9" * 5000),
    bad("of only a port", b" :80"),
    bad("of IPv6 without brackets", b" 2001:db8::1"),
    bad("with an open bracket", b" [::1"),
    bad("with UTF-8", b" caf\xc3\xa9"),
    bad("with a NUL", b" a\x00b"),
    bad("with DEL", b" a\x7fb"),
    refuses(
        "a bad Host beside a good absolute target",
        "9112 §3.2.2",
        ask(b"host: a b", target=b"http://a.example/x"),
    ),
    passes("HTTP/1.0 without Host", "9112 §3.2", ask(version=b"1.0"), Passed(b"GET /x"), closes=True),
    passes(
        "an absolute target against Host",
        "9112 §3.2.2",
        ask(b"host: b.example", target=b"http://a.example/x"),
        Passed(b"GET /x"),
    ),
    passes(
        "Host behind other fields",
        "9110 §7.2",
        ask(b"accept: a", b"host: b"),
        Passed(b"GET /x", (b"accept: a",)),
    ),
)

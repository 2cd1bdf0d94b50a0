"""The request line: method, target, version (RFC 9112 §3)."""

from tests.rfc.cases import HOST, FromClient, Passed, get, passes, refuses


def line(start: bytes) -> bytes:
    """A request of which only the first line matters."""
    return b"%b\r\n%b\r\n" % (start, HOST)


def method(name: bytes) -> FromClient:
    return passes(f"method {name.decode()}", "9110 §9", line(name + b" /x HTTP/1.1"), Passed(name + b" /x"))


def target(name: str, sent: bytes, rfc: str = "9112 §3.2.1") -> FromClient:
    """A target that reaches the upstream byte for byte."""
    return passes(f"target {name}", rfc, line(b"GET %b HTTP/1.1" % sent), Passed(b"GET " + sent))


def bad_version(version: bytes) -> FromClient:
    return refuses(f"version {version.decode()!r}", "9112 §2.3", line(b"GET /x " + version))


def bad_target(name: str, sent: bytes, rfc: str = "9112 §3.2", method: bytes = b"GET") -> FromClient:
    return refuses(f"target {name}", rfc, line(b"%b %b HTTP/1.1" % (method, sent)))


def bad_start(name: str, start: bytes, rfc: str = "9112 §3") -> FromClient:
    return refuses(name, rfc, line(start))


def hops(method: bytes, before: bytes, after: bytes) -> FromClient:
    return passes(
        f"Max-Forwards of {method.decode()}, {before.decode()}",
        "9110 §7.6.2",
        get(b"max-forwards: " + before).replace(b"GET", method),
        Passed(method + b" /x", (b"max-forwards: " + after,)),
    )


CASES = (
    # methods
    method(b"GET"),
    method(b"HEAD"),
    method(b"POST"),
    method(b"PUT"),
    method(b"DELETE"),
    method(b"OPTIONS"),
    method(b"PATCH"),
    method(b"PROPFIND"),
    method(b"REPORT"),
    method(b"TRACE"),
    method(b"M-SEARCH"),
    bad_start("method in lower case", b"get /x HTTP/1.1", "9110 §9.1"),
    bad_start("method in mixed case", b"Get /x HTTP/1.1", "9110 §9.1"),
    bad_start("method nobody knows", b"FOO /x HTTP/1.1", "9110 §9.1"),
    bad_start("method longer than a known one", b"GETX /x HTTP/1.1", "9110 §9.1"),
    bad_start("method with a colon", b"GET: /x HTTP/1.1", "9110 §9.1"),
    bad_start("method with a NUL", b"GE\x00T /x HTTP/1.1", "9110 §9.1"),
    bad_start("method with a high byte", b"G\xc9T /x HTTP/1.1", "9110 §9.1"),
    bad_start("no method", b" /x HTTP/1.1"),
    bad_start("space before the method", b" GET /x HTTP/1.1", "9112 §2.2"),
    bad_start("tab before the method", b"\tGET /x HTTP/1.1", "9112 §2.2"),
    bad_start("CONNECT to an authority", b"CONNECT a.example:443 HTTP/1.1", "9110 §9.3.6"),
    bad_start("CONNECT to a path", b"CONNECT /x HTTP/1.1", "9110 §9.3.6"),
    bad_start("SOURCE of ICE", b"SOURCE /x ICE/1.0"),
    bad_start("SOURCE in HTTP", b"SOURCE /x HTTP/1.1"),
    bad_start("ANNOUNCE of RTSP", b"ANNOUNCE /x RTSP/1.0"),
    bad_start("DESCRIBE of RTSP", b"DESCRIBE rtsp://a.example/x RTSP/1.0"),
    # targets that pass untouched
    target("with a query", b"/x?a=b&c=%20"),
    target("with an empty query", b"/x?"),
    target("with escaped slashes", b"/a%2Fb%2fc"),
    target("with an escaped NUL", b"/a%00b"),
    target("with a broken escape", b"/a%zzb%"),
    target("with empty segments", b"//a//b//"),
    target("with dot segments", b"/a/../b/./c"),
    target("with a colon", b"/v1/models/m:predict"),
    target("with parameters", b"/a;v=1/b,c=2"),
    target("with all of sub-delims", b"/!$&'()*+,;=:@-._~"),
    target("with bytes no URI has", b'/{a}|^`"<>\\'),
    target("of one slash", b"/"),
    target("that is long", b"/" + b"a" * 8000),
    target("that looks like an absolute one", b"/http://a.example/x"),
    target("with a question mark in the query", b"/x?a?b??"),
    # other forms
    passes("absolute form", "9112 §3.2.2", line(b"GET http://a.example/x HTTP/1.1"), Passed(b"GET /x")),
    passes(
        "absolute form without a path",
        "9112 §3.2.2",
        line(b"GET http://a.example HTTP/1.1"),
        Passed(b"GET /"),
    ),
    passes(
        "absolute form with only a query",
        "9112 §3.2.2",
        line(b"GET http://a.example?q HTTP/1.1"),
        Passed(b"GET /?q"),
    ),
    passes(
        "absolute form with a port",
        "9112 §3.2.2",
        line(b"GET http://a.example:81/x HTTP/1.1"),
        Passed(b"GET /x"),
    ),
    passes(
        "absolute form, scheme in upper case",
        "9110 §4.2.3",
        line(b"GET HTTP://A.EXAMPLE/x HTTP/1.1"),
        Passed(b"GET /x"),
    ),
    passes(
        "absolute form, https", "9112 §3.2.2", line(b"GET https://a.example/x HTTP/1.1"), Passed(b"GET /x")
    ),
    passes("absolute form, IPv6", "9112 §3.2.2", line(b"GET http://[::1]:80/x HTTP/1.1"), Passed(b"GET /x")),
    passes("asterisk form", "9112 §3.2.4", line(b"OPTIONS * HTTP/1.1"), Passed(b"OPTIONS *")),
    passes(
        "absolute form of OPTIONS without a path",
        "9112 §3.2.4",
        line(b"OPTIONS http://a.example:8001 HTTP/1.1"),
        Passed(b"OPTIONS *"),
    ),
    # hops
    hops(b"OPTIONS", b"5", b"4"),
    hops(b"TRACE", b"1", b"0"),
    hops(b"GET", b"0", b"0"),
    refuses("no hop left", "9110 §7.6.2", get(b"max-forwards: 0").replace(b"GET", b"OPTIONS")),
    refuses("no number of hops", "9110 §7.6.2", get(b"max-forwards: -1").replace(b"GET", b"TRACE")),
    refuses(
        "hops beyond reason", "9110 §7.6.2", get(b"max-forwards: " + b"9" * 5000).replace(b"GET", b"TRACE")
    ),
    # targets that are refused
    bad_target("with a space", b"/a b"),
    bad_target("with a tab", b"/a\tb"),
    bad_target("with a NUL", b"/a\x00b"),
    bad_target("with a bare CR", b"/a\rb"),
    bad_target("with a control character", b"/a\x01b"),
    bad_target("with DEL", b"/a\x7fb"),
    bad_target("with UTF-8", b"/caf\xc3\xa9"),
    bad_target("with a byte of Latin-1", b"/\xff"),
    bad_target("with a fragment", b"/a#b"),
    bad_target("with a fragment in the query", b"/a?b#c"),
    bad_target("that is relative", b"a/b"),
    bad_target("that is only a query", b"?a"),
    bad_target("in authority form", b"a.example:80", "9112 §3.2.3"),
    bad_target("of an asterisk with GET", b"*", "9112 §3.2.4"),
    bad_target("of two asterisks", b"**", "9112 §3.2.4", b"OPTIONS"),
    bad_target("with an asterisk and a path", b"*/x", "9112 §3.2.4", b"OPTIONS"),
    bad_target("of another scheme", b"ftp://a.example/x", "9112 §3.2.2"),
    bad_target("of a websocket scheme", b"ws://a.example/x", "9112 §3.2.2"),
    bad_target("with a scheme and no authority", b"http:/x", "9110 §4.2.1"),
    bad_target("with a scheme alone", b"http:", "9110 §4.2.1"),
    bad_target("with an empty authority", b"http:///x", "9110 §4.2.1"),
    bad_target("with an empty authority and a query", b"http://?x", "9110 §4.2.1"),
    bad_target("with a user", b"http://user@a.example/x", "9110 §4.2.4"),
    bad_target("with user and password", b"http://user:secret@a.example/x", "9110 §4.2.4"),
    bad_target("with a bad port", b"http://a.example:8a/x", "9110 §4.2.1"),
    bad_target("absolute with a fragment", b"http://a.example/x#y", "9112 §3.2.2"),
    bad_target(
        "absolute with a backslash in the authority", b"http://a.example\\@b.example/x", "9112 §3.2.2"
    ),
    # versions
    bad_version(b"HTTP/2.0"),
    bad_version(b"HTTP/2"),
    bad_version(b"HTTP/3.0"),
    bad_version(b"HTTP/1.2"),
    bad_version(b"HTTP/0.9"),
    bad_version(b"HTTP/9.9"),
    bad_version(b"HTTP/1"),
    bad_version(b"HTTP/1."),
    bad_version(b"HTTP/.1"),
    bad_version(b"HTTP/1.10"),
    bad_version(b"HTTP/01.1"),
    bad_version(b"HTTP/1.01"),
    bad_version(b"HTTP/11"),
    bad_version(b"HTTP/1,1"),
    bad_version(b"HTTP/-1.1"),
    bad_version(b"http/1.1"),
    bad_version(b"Http/1.1"),
    bad_version(b"HTTPS/1.1"),
    bad_version(b"HTTP /1.1"),
    bad_version(b"HTTP/ 1.1"),
    bad_version(b"HTTP/1.1x"),
    bad_version(b"ICE/1.0"),
    bad_version(b"XTTP/1.1"),
    bad_version(b"HTTP\\1.1"),
    # the line as a whole
    bad_start("HTTP/0.9", b"GET /x"),
    bad_start("only a method", b"GET"),
    bad_start("only spaces", b"   "),
    bad_start("space after the version", b"GET /x HTTP/1.1 "),
    bad_start("tab after the version", b"GET /x HTTP/1.1\t"),
    bad_start("a fourth word", b"GET /x HTTP/1.1 HTTP/1.1"),
    bad_start("two versions", b"GET /x HTTP/1.1 HTTP/1.0"),
    bad_start("tab between method and target", b"GET\t/x HTTP/1.1"),
    bad_start("tab between target and version", b"GET /x\tHTTP/1.1"),
    bad_start("vertical tab as a space", b"GET\x0b/x HTTP/1.1"),
    bad_start("no target", b"GET HTTP/1.1"),
    bad_start("a status line", b"HTTP/1.1 200 OK"),
    refuses("bare LF after the request line", "9112 §2.2", b"GET /x HTTP/1.1\n" + HOST + b"\r\n"),
    refuses("bare CR after the request line", "9112 §2.2", b"GET /x HTTP/1.1\r" + HOST + b"\r\n"),
    refuses("CR CR LF after the request line", "9112 §2.2", b"GET /x HTTP/1.1\r\r\n" + HOST + b"\r\n"),
    refuses("bare LF everywhere", "9112 §2.2", b"GET /x HTTP/1.1\nhost: x\n\n"),
    passes("an empty line before it", "9112 §2.2", b"\r\n" + line(b"GET /x HTTP/1.1"), Passed(b"GET /x")),
    passes(
        "three empty lines before it", "9112 §2.2", b"\r\n" * 3 + line(b"GET /x HTTP/1.1"), Passed(b"GET /x")
    ),
    passes("two spaces between its words", "9112 §3", line(b"GET  /x  HTTP/1.1"), Passed(b"GET /x")),
    # no HTTP at all
    refuses("the preface of HTTP/2", "9113 §3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refuses("the preface of HTTP/2 as 1.1", "9113 §3.4", line(b"PRI * HTTP/1.1")),
    refuses("a TLS hello", "9112 §2.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    refuses("an SSH banner", "9112 §2.1", b"SSH-2.0-OpenSSH_9.2\r\n"),
    refuses(
        "the PROXY protocol",
        "9112 §2.1",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + line(b"GET /x HTTP/1.1"),
    ),
    refuses("the PROXY protocol, binary", "9112 §2.1", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"),
    refuses("JSON", "9112 §2.1", b'{"inputs": []}\r\n\r\n'),
    refuses("NULs", "9112 §2.1", b"\x00" * 16),
)

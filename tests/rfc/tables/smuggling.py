"""Transfer-Encoding of requests, alone, disguised and beside a length (RFC 9112 §6.1 and §6.3)."""

from tests.rfc.cases import FromClient, Passed, passes, post, refuses

END = b"0\r\n\r\n"
SMUGGLED = END + b"GET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\n"


def bad(name: str, *lines: bytes, rfc: str = "9112 §6.1") -> FromClient:
    return refuses(name, rfc, post(*lines, body=SMUGGLED))


def coding(name: str, value: bytes) -> FromClient:
    return bad(f"coding {name}", b"transfer-encoding:" + value)


def good(name: str, line: bytes) -> FromClient:
    return passes(
        f"coding {name}", "9112 §6.1", post(line, body=b"3\r\nabc\r\n" + END), Passed(b"POST /x", (), b"abc")
    )


CASES = (
    good("chunked", b"Transfer-Encoding: chunked"),
    good("in upper case", b"TRANSFER-ENCODING: CHUNKED"),
    good("in mixed case", b"transfer-encoding: ChUnKeD"),
    good("without a space", b"transfer-encoding:chunked"),
    good("with spaces around", b"transfer-encoding:   chunked  "),
    # beside a length
    bad("length, then chunked", b"content-length: 5", b"transfer-encoding: chunked", rfc="9112 §6.3"),
    bad("chunked, then length", b"transfer-encoding: chunked", b"content-length: 5", rfc="9112 §6.3"),
    bad("length of zero and chunked", b"content-length: 0", b"transfer-encoding: chunked", rfc="9112 §6.3"),
    bad("chunked and an empty length", b"transfer-encoding: chunked", b"content-length:", rfc="9112 §6.3"),
    bad("length and another coding", b"content-length: 5", b"transfer-encoding: gzip", rfc="9112 §6.3"),
    bad("length and identity", b"content-length: 5", b"transfer-encoding: identity", rfc="9112 §6.3"),
    bad(
        "length and a coding nobody knows",
        b"content-length: 5",
        b"transfer-encoding: xchunked",
        rfc="9112 §6.3",
    ),
    bad("length and an empty coding", b"content-length: 5", b"transfer-encoding:", rfc="9112 §6.3"),
    bad(
        "length and a disguised coding", b"content-length: 5", b"transfer-encoding : chunked", rfc="9112 §6.3"
    ),
    bad("length and a coding with an underscore", b"content-length: 5", b"transfer_encoding: chunked"),
    bad("a length with an underscore and chunked", b"content_length: 5", b"transfer-encoding: chunked"),
    bad("two lengths and chunked", b"content-length: 5", b"content-length: 6", b"transfer-encoding: chunked"),
    bad("length, fields, chunked", b"content-length: 5", b"a: b", b"c: d", b"transfer-encoding: chunked"),
    # several
    bad("chunked twice", b"transfer-encoding: chunked", b"transfer-encoding: chunked"),
    bad("chunked, then identity", b"transfer-encoding: chunked", b"transfer-encoding: identity"),
    bad("identity, then chunked", b"transfer-encoding: identity", b"transfer-encoding: chunked"),
    bad("gzip, then chunked", b"transfer-encoding: gzip", b"transfer-encoding: chunked"),
    bad("chunked, then an empty one", b"transfer-encoding: chunked", b"transfer-encoding:"),
    bad("an empty one, then chunked", b"transfer-encoding:", b"transfer-encoding: chunked"),
    bad("chunked, then one in other case", b"transfer-encoding: chunked", b"Transfer-encoding: x"),
    # disguised, or so odd that it is refused as well
    coding("with tabs around", b"\tchunked\t"),
    coding("that is empty", b""),
    coding("identity", b" identity"),
    coding("gzip", b" gzip"),
    coding("xchunked", b" xchunked"),
    coding("chunkedx", b" chunkedx"),
    coding("chunke", b" chunke"),
    coding("in quotes", b' "chunked"'),
    coding("in single quotes", b" 'chunked'"),
    coding("in a list", b" gzip, chunked"),
    coding("not last in a list", b" chunked, gzip"),
    coding("twice in a list", b" chunked, chunked"),
    coding("identity in a list", b" chunked, identity"),
    coding("with a last comma", b" chunked,"),
    coding("with a first comma", b" , chunked"),
    coding("with a parameter", b" chunked;q=1"),
    coding("with a semicolon", b" chunked;"),
    coding("with a vertical tab before", b" \x0bchunked"),
    coding("with a form feed before", b" \x0cchunked"),
    coding("with a vertical tab behind", b" chunked\x0b"),
    coding("with a NUL behind", b" chunked\x00"),
    coding("with a NUL before", b" \x00chunked"),
    coding("with a bare CR before", b" \rchunked"),
    coding("with a bare CR behind", b" chunked\r"),
    coding("with a bare LF before", b" \nchunked"),
    coding("with a high byte", b" chunked\xff"),
    coding("with a no-break space", b" \xa0chunked"),
    coding("with an equals sign", b"=chunked"),
    coding("with two colons", b": chunked"),
    coding("with a letter of another script", b" \xd1\x81hunked"),
    coding("with a space inside", b" chun ked"),
    coding("chunked as a comment", b" (chunked)"),
    bad("coding behind a fold", b"transfer-encoding:", b" chunked", rfc="9112 §5.2"),
    bad("coding behind a fold with a tab", b"transfer-encoding:", b"\tchunked", rfc="9112 §5.2"),
    bad("coding folded", b"transfer-encoding: chunked", b" , gzip", rfc="9112 §5.2"),
    bad("name with a space before", b" transfer-encoding: chunked", rfc="9112 §2.2"),
    bad("name with a space behind", b"transfer-encoding : chunked", rfc="9112 §5.1"),
    bad("name with a tab behind", b"transfer-encoding\t: chunked", rfc="9112 §5.1"),
    bad("name with a NUL behind", b"transfer-encoding\x00: chunked", rfc="9110 §5.1"),
    bad("name with a bare CR before", b"a: b\rtransfer-encoding: chunked", rfc="9112 §2.2"),
    bad("name with a bare LF before", b"a: b\ntransfer-encoding: chunked", rfc="9112 §2.2"),
    bad("name with a high byte before", b"\xfftransfer-encoding: chunked", rfc="9110 §5.1"),
    refuses(
        "chunked from HTTP/1.0",
        "9112 §6.1",
        b"POST /x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + SMUGGLED,
    ),
    refuses(
        "chunked from HTTP/1.0 that keeps its connection",
        "9112 §6.1",
        b"POST /x HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"
        + SMUGGLED,
    ),
    passes(
        "Connection takes no coding away",
        "9110 §7.6.1",
        post(b"connection: transfer-encoding", b"transfer-encoding: chunked", body=b"3\r\nabc\r\n" + END),
        Passed(b"POST /x", (), b"abc"),
    ),
    refuses(
        "Connection takes a length away",
        "9110 §7.6.1",
        post(b"connection: content-length", b"content-length: 3", body=b"abc"),
    ),
)

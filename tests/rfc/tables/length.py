"""Content-Length of requests (RFC 9110 §8.6, RFC 9112 §6.2 and §6.3)."""

from tests.rfc.cases import FromClient, Passed, get, passes, post, refuses

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\n"


def good(name: str, value: bytes, body: bytes) -> FromClient:
    data = post(b"content-length:" + value, body=body)
    sent = Passed(b"POST /x", (b"content-length: " + value.strip(b" \t"),), body)
    return passes(f"length {name}", "9110 §8.6", data, sent)


def bad(name: str, *values: bytes, body: bytes = b"abc") -> FromClient:
    lines = [b"content-length:" + value for value in values]
    return refuses(f"length {name}", "9112 §6.3", post(*lines, body=body))


CASES = (
    good("of zero", b" 0", b""),
    good("of a body", b" 3", b"abc"),
    good("with leading zeros", b" 003", b"abc"),
    good("without a space", b"3", b"abc"),
    good("with tabs around", b"\t3\t", b"abc"),
    good("of a body with every byte", b" 256", bytes(range(256))),
    good("of a large body", b" 300000", b"x" * 300_000),
    good("of a body that is a request", b" %d" % len(SMUGGLED), SMUGGLED),
    good("of a body of line ends", b" 8", b"\r\n\r\n\r\n\r\n"),
    passes(
        "GET with a body",
        "9110 §9.3.1",
        get(b"content-length: 3") + b"abc",
        Passed(b"GET /x", (b"content-length: 3",), b"abc"),
    ),
    passes(
        "GET with a length of zero",
        "9110 §8.6",
        get(b"content-length: 0"),
        Passed(b"GET /x", (b"content-length: 0",)),
    ),
    passes("POST without a length has no body", "9112 §6.3", post(), Passed(b"POST /x")),
    passes(
        "what lies behind the length is the next request",
        "9112 §6.3",
        post(b"content-length: 3", body=b"abc") + get(),
        Passed(b"POST /x", (b"content-length: 3",), b"abc"),
        Passed(b"GET /x"),
    ),
    bad("with a plus sign", b" +3"),
    bad("with a minus sign", b" -3"),
    bad("of minus zero", b" -0"),
    bad("in hexadecimal", b" 0x3"),
    bad("with a fraction", b" 3.0"),
    bad("with an exponent", b" 3e0"),
    bad("with an underscore", b" 1_0"),
    bad("with a space inside", b" 1 0"),
    bad("with a tab inside", b" 1\t0"),
    bad("of a word", b" three"),
    bad("that is empty", b""),
    bad("of spaces", b"   "),
    bad("in quotes", b' "3"'),
    bad("with a semicolon", b" 3;"),
    bad("of a list", b" 3, 3"),
    bad("of a list without spaces", b" 3,3"),
    bad("of a list that differs", b" 3, 4"),
    bad("with a last comma", b" 3,"),
    bad("with a first comma", b" ,3"),
    bad("with a NUL", b" 3\x00"),
    bad("with a vertical tab", b" \x0b3"),
    bad("with digits of another script", b" \xd9\xa3"),
    bad("with a no-break space", b" \xa03"),
    bad("over 64 bits", b" 18446744073709551616"),
    bad("of the last 64 bits", b" 18446744073709551615"),
    bad("over 63 bits", b" 9223372036854775808"),
    bad("of a hundred digits", b" " + b"9" * 100),
    bad("of three after twenty zeros", b" " + b"0" * 20 + b"3"),
    bad("of three after thousands of zeros", b" " + b"0" * 5000 + b"3"),
    bad("that wraps around to three", b" 18446744073709551619"),
    bad("twice, different", b" 3", b" 4"),
    bad("twice, alike", b" 3", b" 3"),
    bad("twice, one empty", b" 3", b""),
    bad("twice, one of zero", b" 0", b" 3"),
    bad("three times", b" 3", b" 3", b" 3"),
    refuses(
        "length twice in different case",
        "9112 §6.3",
        post(b"Content-Length: 3", b"CONTENT-LENGTH: 4", body=b"abcd"),
    ),
    refuses("length with a space before the colon", "9112 §5.1", post(b"content-length : 3", body=b"abc")),
    refuses("length behind a fold", "9112 §5.2", post(b"content-length:", b" 3", body=b"abc")),
    refuses("length folded into two", "9112 §5.2", post(b"content-length: 3", b" 0", body=b"abc")),
)

"""Chunked bodies of requests (RFC 9112 §7.1)."""

from tests.rfc.cases import FromClient, Passed, chunked, get, passes, refuses

END = b"0\r\n\r\n"
ONE = b"3\r\nabc\r\n"


def good(name: str, wire: bytes, body: bytes = b"abc") -> FromClient:
    return passes(f"chunks: {name}", "9112 §7.1", chunked(wire), Passed(b"POST /x", (), body))


def bad(name: str, wire: bytes, rfc: str = "9112 §7.1") -> FromClient:
    return refuses(f"chunks: {name}", rfc, chunked(wire))


CASES = (
    good("none", END, b""),
    good("one", ONE + END),
    good("three", b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n" + END),
    good("size in upper case", b"A\r\n0123456789\r\n" + END, b"0123456789"),
    good("size in lower case", b"a\r\n0123456789\r\n" + END, b"0123456789"),
    good("size with leading zeros", b"0003\r\nabc\r\n" + END),
    good("last chunk of many zeros", ONE + b"0000\r\n\r\n"),
    good("data of line ends", b"4\r\n\r\n\r\n\r\n" + END, b"\r\n\r\n"),
    good("data like a last chunk", b"5\r\n0\r\n\r\n\r\n" + END, END),
    good("data like a request", b"11\r\nGET /y HTTP/1.1\r\n\r\n" + END, b"GET /y HTTP/1.1\r\n"),
    good("a large one", b"20000\r\n" + b"x" * 0x20000 + b"\r\n" + END, b"x" * 0x20000),
    good("an extension", b"3;a\r\nabc\r\n" + END),
    good("an extension with a value", b"3;a=b\r\nabc\r\n" + END),
    good("an extension with a quoted value", b'3;a="b c"\r\nabc\r\n' + END),
    good("two extensions", b"3;a=b;c=d\r\nabc\r\n" + END),
    good("an extension of the last chunk", ONE + b"0;a=b\r\n\r\n"),
    passes(
        "chunks: what lies behind them is the next request",
        "9112 §7.1",
        chunked(ONE + END) + get(),
        Passed(b"POST /x", (), b"abc"),
        Passed(b"GET /x"),
    ),
    bad("size of nothing", b"\r\nabc\r\n" + END),
    bad("size of a word", b"xyz\r\nabc\r\n" + END),
    bad("size with a prefix", b"0x3\r\nabc\r\n" + END),
    bad("size with a plus sign", b"+3\r\nabc\r\n" + END),
    bad("size with a minus sign", b"-3\r\nabc\r\n" + END),
    bad("size with an underscore", b"1_0\r\nabc\r\n" + END),
    bad("size with a space before", b" 3\r\nabc\r\n" + END),
    bad("size with a tab before", b"\t3\r\nabc\r\n" + END),
    bad("size with a space behind", b"3 \r\nabc\r\n" + END),
    bad("size with a tab behind", b"3\t\r\nabc\r\n" + END),
    bad("size with a space before an extension", b"3 ;a=b\r\nabc\r\n" + END),
    bad("size with a NUL", b"3\x00\r\nabc\r\n" + END),
    bad("size with a comma", b"3,\r\nabc\r\n" + END),
    bad("size in quotes", b'"3"\r\nabc\r\n' + END),
    bad("size with a fraction", b"3.0\r\nabc\r\n" + END),
    bad("size over 64 bits", b"10000000000000003\r\nabc\r\n" + END),
    bad("size of a hundred digits", b"f" * 100 + b"\r\nabc\r\n" + END),
    bad("size with digits of another script", b"\xd9\xa3\r\nabc\r\n" + END),
    bad("data longer than its size", b"3\r\nabcd\r\n" + END),
    bad("data shorter than its size", b"5\r\nabc\r\n" + END + b"x\r\n"),
    bad("no line end behind the data", b"3\r\nabc" + END),
    bad("bare LF behind the data", b"3\r\nabc\n" + END, "9112 §2.2"),
    bad("bare CR behind the data", b"3\r\nabc\r" + END, "9112 §2.2"),
    bad("bare LF behind the size", b"3\nabc\r\n" + END, "9112 §2.2"),
    bad("bare CR behind the size", b"3\rabc\r\n" + END, "9112 §2.2"),
    bad("bare LF everywhere", b"3\nabc\n0\n\n", "9112 §2.2"),
    bad("bare LF behind the last size", ONE + b"0\n\r\n", "9112 §2.2"),
    bad("bare LF at the very end", ONE + b"0\r\n\n", "9112 §2.2"),
    bad("bare LF in an extension", b"3;a\nb\r\nabc\r\n" + END, "9112 §7.1.1"),
    bad("bare CR in an extension", b"3;a\rb\r\nabc\r\n" + END, "9112 §7.1.1"),
    bad("bare LF that ends an extension", b"3;a=b\nabc\r\n" + END, "9112 §7.1.1"),
    bad("NUL in an extension", b"3;a=\x00\r\nabc\r\n" + END, "9112 §7.1.1"),
    bad("line end in a quoted extension", b'3;a="\r\n"\r\nabc\r\n' + END, "9112 §7.1.1"),
    bad("garbage behind the size", b"3g\r\nabc\r\n" + END),
    bad("garbage instead of a second size", ONE + b"zz\r\n\r\n"),
    bad("a request instead of chunks", b"GET /y HTTP/1.1\r\nhost: evil\r\n\r\n"),
    bad("garbage behind the last size", ONE + b"0x\r\n\r\n"),
)

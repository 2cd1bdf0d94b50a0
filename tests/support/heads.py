"""Request heads as the parser would hand them over."""

from router.http1.head import RequestHead


def request_head(target: bytes = b"/x", host: bytes = b"h", **fields: bytes) -> RequestHead:
    """A GET with these fields; `x_user` is the field x-user."""
    index = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    pairs = [(name, name, value, b"%b: %b\r\n" % (name, value)) for name, value in index.items()]
    request = RequestHead(b"GET", target, True, pairs, index)
    request.host = host
    return request

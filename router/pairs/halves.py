"""Takes apart what a worker sent in one piece, because it had no time for it."""

from router.channel import Capture, CapturedAnswer, CapturedRequest, Half, Message

Headers = tuple[tuple[bytes, bytes], ...]


def opened(half: Half) -> Capture:
    """The capture in this half. Never raises: its lines were read by a parser before."""
    answer = CapturedAnswer(
        half.version,
        half.endpoint,
        half.status,
        Message(_headers(half.head.split(b"\r\n")), half.body, half.size, half.truncated),
        half.latency * 1000,
        half.first_byte * 1000,
        half.error,
    )
    request = _request(half) if half.asked else None
    return Capture(
        exchange=half.exchange.decode("latin-1"),
        role="shadow" if request is None else "primary",
        id=half.id.decode("latin-1"),
        time=half.time,
        deployment=half.deployment,
        generation=half.generation,
        answer=answer,
        request=request,
        copies=half.copies,
        cohort=half.cohort,
    )


def _request(half: Half) -> CapturedRequest:
    first, *lines = half.asked.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    message = Message(_headers(lines), half.asked_body, half.asked_size, half.asked_truncated)
    return CapturedRequest(method, rest.rpartition(b" ")[0], message)


def _headers(lines: list[bytes]) -> Headers:
    return tuple(
        [
            (name, value.strip(b" \t"))
            for name, colon, value in [line.partition(b":") for line in lines]
            if colon
        ]
    )

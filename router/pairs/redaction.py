"""Keeps secrets out of everything the recorder writes.

Headers are named without regard to case, body values by JSON pointer. When pointers are set for a side, its
bodies are written only as parsed JSON with those values hidden; a body that is no JSON, or only part of one,
is withheld whole, because nobody can tell where in it the secret lies.
"""

from typing import Any

import msgspec

from router.channel import Capture, CapturedRequest, Message
from router.pairs.content import ABSENT, REDACTED, Content, Hidden, dump, open_message
from router.pairs.pointer import split
from router.pairs.settings import RedactSpec

Headers = tuple[tuple[bytes, bytes], ...]
_REDACTED = REDACTED.encode()


class Redactor:
    """Applies one deployment's `redact` section."""

    def __init__(self, spec: RedactSpec) -> None:
        self._names = frozenset(name.lower().encode("latin-1") for name in spec.headers)
        self._request = tuple(split(pointer) for pointer in spec.request)
        self._response = tuple(split(pointer) for pointer in spec.response)

    def headers(self, headers: Headers) -> Headers:
        """The same headers with the values of the named ones replaced."""
        if not any(name.lower() in self._names for name, _ in headers):
            return headers
        return tuple((name, _REDACTED if name.lower() in self._names else value) for name, value in headers)

    def request_content(self, message: Message) -> Content:
        """The request's body with its secrets hidden."""
        return _conceal(message, self._request)

    def response_content(self, message: Message) -> Content:
        """An answer's body with its secrets hidden."""
        return _conceal(message, self._response)

    def capture(self, capture: Capture) -> Capture:
        """The capture as it may lie in a file: the secrets themselves are gone, not only marked.

        A withheld body is left empty, its size kept, so that redacting once more withholds it again.
        """
        answer, request = capture.answer, capture.request
        safe_answer = self._message(answer.message, self._response)
        safe_request = None if request is None else self._message(request.message, self._request)
        if safe_answer is answer.message and (request is None or safe_request is request.message):
            return capture
        if request is not None and safe_request is not None:
            request = CapturedRequest(request.method, request.target, safe_request)
        answer = msgspec.structs.replace(answer, message=safe_answer)
        return msgspec.structs.replace(capture, answer=answer, request=request)

    def _message(self, message: Message, pointers: tuple[tuple[str, ...], ...]) -> Message:
        headers, body = self.headers(message.headers), message.body
        if pointers and message.size:
            content = _conceal(message, pointers)
            body = b"" if content.value is ABSENT else dump(content.value)
        if headers is message.headers and body is message.body:
            return message
        return Message(headers, body, message.size, message.truncated)


def _conceal(message: Message, pointers: tuple[tuple[str, ...], ...]) -> Content:
    content = open_message(message)
    if pointers and message.size:
        content.exposed = False
        for segments in pointers:
            if isinstance(content.value, (dict, list)):
                _hide(content.value, segments)
    return content


def _hide(node: Any, segments: tuple[str, ...]) -> None:
    for key in _matching(node, segments[0]):
        if len(segments) > 1:
            _hide(node[key], segments[1:])
        elif not isinstance(node[key], Hidden):
            node[key] = Hidden(node[key])


def _matching(node: Any, segment: str) -> list[Any]:
    """Keys of an object or positions of a list that a pointer segment means."""
    if isinstance(node, dict):
        return list(node) if segment == "*" else [segment] if segment in node else []
    if isinstance(node, list):
        if segment == "*":
            return list(range(len(node)))
        if segment.isascii() and segment.isdigit() and int(segment) < len(node):
            return [int(segment)]
    return []

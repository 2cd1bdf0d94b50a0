"""Who a request is about: a hash of its key, so that one subject's records can be found again and erased.

With a key for `hash` the subject is an HMAC of the value: nobody without that key can tell whose records they are.
Without one it is a plain BLAKE2b, which hides nothing from someone who can guess the value.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from router.channel import Capture, CapturedRequest
from router.pairs.content import open_message
from router.pairs.pointer import split
from router.pairs.redaction import field_text
from router.pairs.settings import PairSettings, SubjectSource
from router.pairs.slices import member, scalar

_PERSON = b"router-subject"


class Subjects:
    """Finds and hashes the subjects of one deployment's requests; `source` None: there are none."""

    def __init__(self, source: SubjectSource | None, key: bytes = b"") -> None:
        self._source = source
        self._key = key

    @classmethod
    def of(cls, settings: PairSettings) -> "Subjects":
        """Those of a deployment's `pairs` section."""
        key = b"" if settings.hash is None else settings.hash.key.get_secret_value().encode()
        return cls(settings.subject, key)

    @property
    def source(self) -> SubjectSource | None:
        """Where they are found in a request."""
        return self._source

    @property
    def key(self) -> bytes:
        """What subjects are hashed with; empty for the plain hash."""
        return self._key

    def mark(self, capture: Capture) -> Capture:
        """The capture with its subject, where it has a request and that has one."""
        if self._source is None or capture.request is None or capture.subject:
            return capture
        value = self._value(self._source, capture.request)
        return capture if value is None else replace(capture, subject=self.hashed(value))

    def hashed(self, value: str) -> str:
        """The subject with this key, as the pair log has it."""
        data = value.encode("utf-8", "backslashreplace")
        if self._key:
            return hmac.digest(self._key, _PERSON + data, "sha256").hex()[:32]
        return hashlib.blake2b(data, digest_size=16, person=_PERSON).hexdigest()

    def candidates(self, value: str, keys: Iterable[bytes] = ()) -> frozenset[str]:
        """Everything the log may have for this value: lines written before there was a `hash.key` have the plain
        hash, and those of another time one under another of these `keys`."""
        known = (self._key, b"", *keys)
        return frozenset(Subjects(self._source, key).hashed(value) for key in known)

    def logged(self, headers: Mapping[str, str], body: Any) -> str | None:
        """The key as it stands in a logged request, for lines that were written without a subject."""
        source = self._source
        if source is None:
            return None
        if source.header is not None:
            return _as_sent(headers.get(source.header.lower()))
        if source.cookie is not None:
            return _cookie(_as_sent(headers.get("cookie")) or "", source.cookie)
        return scalar(member(body, split(source.pointer or "")))

    def _value(self, source: SubjectSource, request: CapturedRequest) -> str | None:
        if source.pointer is not None:
            return scalar(member(open_message(request.message).value, split(source.pointer)))
        name = b"cookie" if source.header is None else source.header.lower().encode("latin-1")
        for found, value in request.message.headers:
            if found.lower() == name:
                text = field_text(value)
                return text if source.cookie is None else _cookie(text, source.cookie)
        return None


def _as_sent(logged: str | None) -> str | None:
    """The log has headers as Latin-1, whatever they are."""
    return None if logged is None else field_text(logged.encode("latin-1"))


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        found, separator, value = part.strip(" \t").partition("=")
        if separator and found == name:
            return value
    return None

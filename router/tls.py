"""TLS on both sides: contexts from PEM files, and files that are renewed while the program runs. Floor 1.

TLS 1.2 at least, HTTP/1.1 only. Whoever serves or connects asks now and then whether its files have changed: handshakes
from then on use the new ones, connections that exist go on.
"""

import logging
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

CHECK_EVERY = 5.0
"""Seconds between two looks at the files."""

NO_PASSPHRASE = ""
"""Without one, OpenSSL would ask for it at the terminal."""

_log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]

PemFiles = tuple[str, str, str]
"""The names of `ca`, `cert` and `key` where they are given together; empty: not given."""


def _stamp(*files: str) -> Stamp:
    """What changes when a file is written anew, or a link to it set anew. Raises OSError."""
    found = [os.stat(file) for file in files if file]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


class ServerTls:
    """The certificate of a listener; `context` is the same object for its whole life.

    Raises OSError (ssl.SSLError is one) where the files are not a certificate chain and its key.
    """

    def __init__(self, cert: str, key: str) -> None:
        self._cert = cert
        self._key = key
        self._seen = _stamp(cert, key)
        self._trouble = ""
        self.context = self._build()

    def _build(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._cert, self._key, NO_PASSPHRASE)
        return context

    def use(self, cert: str, key: str) -> None:
        """Other files from now on; where they are not usable, the certificate before stays until they are."""
        if (cert, key) != (self._cert, self._key):
            self._cert, self._key, self._seen = cert, key, ()
            self.renew()

    def renew(self) -> bool:
        """Takes the files in anew if they have changed; tells whether it did. What is not whole yet, or never will
        be, is left, and said once: the certificate before stays in use."""
        try:
            stamp = _stamp(self._cert, self._key)
            if stamp == self._seen:
                return False
            self._build()  # one that does not fit its key would spoil the context in use
            self.context.load_cert_chain(self._cert, self._key, NO_PASSPHRASE)
        except OSError as error:
            if str(error) != self._trouble:
                _log.warning(
                    "the certificate in %s is not usable, the one before stays: %s", self._cert, error
                )
            self._trouble = str(error)
            return False
        self._seen, self._trouble = stamp, ""
        _log.info("the certificate in %s is renewed", self._cert)
        return True


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """Whom to believe and what to present: PEM files, empty for the system's authorities and for nothing."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class Kept:
    """A copy in memory of a certificate and its key as they were when they last fitted each other: what a process that
    starts while they do not can use. It is there for as long as this process."""

    def __init__(self, cert: str, key: str) -> None:
        self._files = (cert, key)
        self._seen: Stamp = ()
        self._copies: list[int] = []

    @property
    def copies(self) -> tuple[str, str]:
        """Names under which processes of the same user find the copy; of the files themselves where there is none."""
        if not self._copies:
            return self._files
        cert, key = (f"/proc/{os.getpid()}/fd/{copy}" for copy in self._copies)
        return cert, key

    def look(self) -> bool:
        """Takes the files in anew if they have changed; whether they can be used as they are now."""
        copies: list[int] = []
        try:
            stamp = _stamp(*self._files)
            if stamp == self._seen:
                return True
            copies += (_in_memory(file) for file in self._files)
            cert, key = (f"/proc/self/fd/{copy}" for copy in copies)
            if refusals("", cert, key):
                return False
            self._seen, self._copies, copies = stamp, copies, self._copies
            return True
        except OSError:
            return False
        finally:
            _close(copies)

    def close(self) -> None:
        _close(self._copies)
        self._copies = []


def _in_memory(file: str) -> int:
    """The descriptor of a copy. Raises OSError."""
    with open(file, "rb") as original:
        copy = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(copy, original.read())
        except BaseException:
            os.close(copy)
            raise
        return copy


def _close(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)


class ClientContexts:
    """Contexts to connect with, made when they are first asked for, and anew when a file has changed. While changed
    files are not usable the context before them stays: a renewal that is half done costs no connection."""

    def __init__(self) -> None:
        self._known: dict[ClientFiles, tuple[float, Stamp, ssl.SSLContext]] = {}

    def get(self, files: ClientFiles, now: float) -> ssl.SSLContext:
        """The context for these files at this time (seconds). Raises OSError where they never were usable."""
        until, stamp, context = self._known.get(files, (0.0, (), None))
        if context is not None and now < until:
            return context
        try:
            newest = _stamp(files.ca, files.cert, files.key)
            if context is None or newest != stamp:
                context = client_context(files)
        except OSError:
            if context is None:
                raise
            newest = stamp  # so that they are tried again; the controller says what is wrong with them
        self._known[files] = (now + CHECK_EVERY, newest, context)
        return context


def client_context(files: ClientFiles) -> ssl.SSLContext:
    """A context that believes whom `files` say. Raises OSError where they are not usable."""
    context = ssl.create_default_context(cafile=files.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.cert:
        context.load_cert_chain(files.cert, files.key, NO_PASSPHRASE)
    return context


class InUse:
    """Looks at files that were usable when they were taken in: what became wrong with them since."""

    def __init__(self) -> None:
        self._sound: dict[PemFiles, Stamp] = {}

    def look(self, wanted: Iterable[PemFiles]) -> tuple[str, ...]:
        """A sentence for each file that can't be taken in as it is now. What is sound is read again only when it
        changes."""
        troubles: list[str] = []
        sound: dict[PemFiles, Stamp] = {}
        for files in sorted(wanted):
            stamp: Stamp = ()
            found = {}
            try:
                stamp = _stamp(*files)
            except OSError as error:
                found = {error.filename: f"can't be read: {error.strerror}"}
            if stamp and self._sound.get(files) != stamp:
                named = dict(zip(("ca", "cert", "key"), files, strict=True))
                found = {named[what]: trouble for what, trouble in refusals(*files).items()}
            if found:
                troubles += [
                    f"{file} {trouble}; what it held before stays in use" for file, trouble in found.items()
                ]
            else:
                sound[files] = stamp
        self._sound = sound
        return tuple(dict.fromkeys(troubles))


def refusals(ca: str, cert: str, key: str) -> dict[str, str]:
    """What is wrong with PEM files that are there, by what they were given as: `ca`, `cert` or `key`. Empty names are
    passed over."""
    found = {"ca": _not_certificates(ca), "cert": _not_certificates(cert)}
    if cert and key and not found["cert"]:
        found["key"] = _not_its_key(cert, key)
    return {name: trouble for name, trouble in found.items() if trouble}


def _not_certificates(file: str) -> str:
    try:
        if file:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return "holds no certificates in PEM form"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return ""


def _not_its_key(cert: str, key: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, NO_PASSPHRASE)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "is not the key of this certificate"
        return "holds no private key in PEM form without a passphrase"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return ""

"""The certificates in force: renewed as their files are, and what is wrong with those files. Floor 4.

Who serves with a certificate keeps it while its files do not fit each other. For workers that start just then a copy
of what they held before is kept in memory.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable

from router.config.schema import Config, ListenSpec
from router.config.tls import Tls
from router.tls import CHECK_EVERY, InUse, Kept, PemFiles, ServerTls

_log = logging.getLogger(__name__)

Warn = Callable[[tuple[str, ...]], None]

Tell = Callable[[tuple[ListenSpec, ...]], None]
"""Has workers use the certificates that these entries name, those too that start later."""


def files_of(config: Config) -> frozenset[PemFiles]:
    """All PEM files that a configuration names, as they are given together."""
    served = [tls for tls in (*(each.tls for each in config.listen), config.admin.tls) if tls is not None]
    asked = [
        version.tls
        for deployment in config.deployments.values()
        for version in deployment.versions.values()
        if version.tls is not None
    ]
    named = [("", each.cert, each.key) for each in served] + [
        (each.ca, each.cert, each.key) for each in asked
    ]
    return frozenset(files for files in named if any(files))


class Certificates:
    """Those of the admin API are used here, of the others is known what they are; `tell` reaches the workers.

    Raises OSError where the admin API's are not usable.
    """

    def __init__(self, config: Config, tell: Tell) -> None:
        tls = config.admin.tls
        self._admin = ServerTls(tls.cert, tls.key) if tls is not None else None
        self._in_use = InUse()
        self._said: tuple[str, ...] = ()
        self._tell = tell
        self._told = self._listen = config.listen
        self._kept: dict[Tls, Kept] = {}
        self.files = files_of(config)
        self._keep()

    @property
    def context(self) -> ssl.SSLContext | None:
        """What the admin API speaks; None: no TLS."""
        return self._admin.context if self._admin is not None else None

    def use(self, config: Config) -> None:
        """Those of this configuration from now on."""
        self.files = files_of(config)
        self._listen = config.listen
        self._keep()
        if self._admin is not None and config.admin.tls is not None:
            self._admin.use(config.admin.tls.cert, config.admin.tls.key)

    async def renew(self, warn: Warn) -> None:
        """For ever: takes in what was renewed, and tells `warn` of what can't be."""
        while True:
            if self._admin is not None:
                self._admin.renew()
            self._keep()
            found = await asyncio.to_thread(self._in_use.look, self.files)
            if found != self._said:
                self._said = found
                for trouble in found:
                    _log.warning("a certificate can't be renewed: %s", trouble)
                warn(found)
            await asyncio.sleep(CHECK_EVERY)

    def close(self) -> None:
        """Without the copies."""
        for kept in self._kept.values():
            kept.close()

    def _keep(self) -> None:
        """Copies what is sound, and has workers use the copies of what is not."""
        wanted = {each.tls for each in self._listen if each.tls is not None}
        for tls in self._kept.keys() - wanted:
            self._kept.pop(tls).close()
        for tls in wanted - self._kept.keys():
            self._kept[tls] = Kept(tls.cert, tls.key)
        copied = {tls: kept.copies for tls, kept in self._kept.items() if not kept.look()}
        listen = tuple(
            each.model_copy(update={"tls": Tls(cert=copied[each.tls][0], key=copied[each.tls][1])})
            if each.tls in copied
            else each
            for each in self._listen
        )
        if listen != self._told:
            self._told = listen
            self._tell(listen)

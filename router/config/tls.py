"""The `tls` of the YAML: of a listener, of the admin API, and towards a version's endpoints. Floor 3."""

from typing import Self

from pydantic import Field, model_validator

from router.patterns.limits import UpstreamTls
from router.spec import Spec


class Tls(Spec):
    """Certificate chain and private key, as PEM files."""

    cert: str
    key: str


class UpstreamTlsSpec(Spec):
    """`tls` of a version: whom its endpoints have to be, and who the router says it is."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = Field("", max_length=253, pattern=r"^([^\s./][^\s/]*)?$")
    verify: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.cert) != bool(self.key):
            raise ValueError("cert and key go together: a certificate is of no use without its key")
        if not self.verify and self.ca:
            raise ValueError(
                "with verify: false any certificate is believed, and ca says nothing: remove one of them"
            )
        return self

    def compile(self) -> UpstreamTls:
        return UpstreamTls(**self.model_dump())

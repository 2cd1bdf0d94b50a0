"""The `tls` of the YAML."""

import pytest
from pydantic import ValidationError

from router.config.schema import AdminSpec, VersionModel
from router.config.tls import Tls, UpstreamTlsSpec
from router.patterns.limits import UpstreamTls


def test_what_is_given_is_what_workers_get() -> None:
    spec = UpstreamTlsSpec(ca="ca.pem", cert="c.pem", key="k.pem", server_name="models.internal")
    assert spec.compile() == UpstreamTls("ca.pem", "c.pem", "k.pem", "models.internal", True)
    assert UpstreamTlsSpec().compile() == UpstreamTls()
    assert AdminSpec(tls=Tls(cert="c.pem", key="k.pem")).tls is not None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cert": "c.pem"}, "go together"),
        ({"key": "k.pem"}, "go together"),
        ({"ca": "ca.pem", "verify": False}, "remove one of them"),
        ({"server_name": ".internal"}, "should match pattern"),
        ({"server_name": "https://models.internal"}, "should match pattern"),
    ],
)
def test_halves_and_contradictions_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        UpstreamTlsSpec.model_validate(given)


def test_tls_for_a_plain_endpoint_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="http://b:1 is not"):
        VersionModel.model_validate({"urls": ["https://a:1", "http://b:1"], "tls": {"verify": False}})

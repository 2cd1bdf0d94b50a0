"""What the models make of good values; the table of bad files tests what they refuse."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from router.config.schema import (
    BlueGreenRollout,
    CanaryRollout,
    Config,
    ListenSpec,
    MatchSpec,
    ShadowRollout,
    VersionModel,
)
from router.config.tls import Tls
from router.patterns.plan import Match

LOAN: dict[str, Any] = {"match": {"path": "/a"}, "versions": {"v1": {"url": "http://h:1"}}}


def config(**values: Any) -> Config:
    return Config.model_validate({"deployments": {"loan": LOAN}} | values)


def test_defaults() -> None:
    plain = config()
    assert plain.listen == (ListenSpec(address="127.0.0.1:8080"),)
    assert plain.admin.listen == "127.0.0.1:8081"
    assert plain.workers == "auto"
    assert plain.deployments["loan"].rollout is None
    assert plain.deployments["loan"].timeouts.total == 600


@pytest.mark.parametrize(
    "written",
    [
        "127.0.0.1:1",
        ["127.0.0.1:1"],
        {"address": "127.0.0.1:1"},
        [{"address": "127.0.0.1:1"}],
    ],
)
def test_listen_in_all_its_forms(written: object) -> None:
    assert config(listen=written).listen == (ListenSpec(address="127.0.0.1:1"),)


def test_listen_with_tls() -> None:
    tls = {"cert": "c.pem", "key": "k.pem"}
    listen = config(listen=["127.0.0.1:1", {"address": "[::]:443", "tls": tls}]).listen
    assert listen[1] == ListenSpec(address="[::]:443", tls=Tls(cert="c.pem", key="k.pem"))


def test_the_json_schema_allows_every_form_of_listen() -> None:
    forms = Config.model_json_schema()["properties"]["listen"]["anyOf"]
    assert [form.get("type", "$ref" in form and "object") for form in forms] == ["string", "object", "array"]


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:8080", "localhost:80", "router.example.com:65535"])
def test_good_addresses(address: str) -> None:
    assert ListenSpec(address=address).address == address


@pytest.mark.parametrize("address", ["", "8080", ":8080", "::1:80", "h:65536", "h:-1", "h:", "h:http"])
def test_bad_addresses(address: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        ListenSpec(address=address)


@pytest.mark.parametrize(
    "url", ["http://h", "https://h:443/base/path", "http://[::1]:9001", "http://10.0.0.1:1/"]
)
def test_good_urls(url: str) -> None:
    assert VersionModel(url=url).endpoints == (url,)
    assert VersionModel(urls=(url, url)).endpoints == (url, url)


@pytest.mark.parametrize(
    "url", ["", "h:1", "ftp://h", "http://", "http://h:x", "http://h?q", "http://h#f", "http://u@h"]
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValidationError):
        VersionModel(url=url)


@pytest.mark.parametrize("host", ["example.com", "EXAMPLE.com", "127.0.0.1", "[::1]", "bücher.example"])
def test_good_hosts(host: str) -> None:
    assert MatchSpec(host=host).host == host


@pytest.mark.parametrize(
    "host", ["", "h:80", "http://h", "*.h", "a/b", "a..b", ".a", "a b", "::1", "a" * 64 + ".com", "\udcff"]
)
def test_bad_hosts(host: str) -> None:
    with pytest.raises(ValidationError):
        MatchSpec(host=host)


def test_a_match_compiles_to_what_requests_are_looked_up_by() -> None:
    spec = MatchSpec(
        path="/A/**", host="H.example", methods=("POST", "GET"), headers={"X-B": "V", "x-a": "W"}
    )
    headers = (("x-a", "W"), ("x-b", "V"))
    assert spec.compile() == Match("h.example", "/A/**", ("GET", "POST"), headers)
    assert MatchSpec(path="/").compile() == Match(path="/")


def test_header_names_that_differ_by_case_alone_are_one_name() -> None:
    with pytest.raises(ValidationError, match="by case alone"):
        MatchSpec(headers={"X-A": "1", "x-a": "2"})


@pytest.mark.parametrize(
    ("rollout", "kind"),
    [
        ({"pattern": "shadow", "primary": "v1", "shadows": ["v2"]}, ShadowRollout),
        ({"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "5%"}]}, CanaryRollout),
        ({"pattern": "blue_green", "blue": "v1", "green": "v2"}, BlueGreenRollout),
    ],
)
def test_the_pattern_says_which_rollout_it_is(rollout: dict[str, Any], kind: type) -> None:
    assert isinstance(
        config(deployments={"loan": LOAN | {"rollout": rollout}}).deployments["loan"].rollout, kind
    )


def test_a_token_from_a_file_is_what_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  from-a-file\n")
    (token,) = config(admin={"tokens": [{"name": "ci", "token_file": str(file)}]}).admin.tokens
    assert token.token == "from-a-file"
    assert "from-a-file" not in repr(token)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a token is missing"),
        ({"token": "long-enough", "token_file": "/x"}, "exclude each other"),
        ({"token_file": "/nonexistent/x"}, "token_file /nonexistent/x can't be read"),
        ({"token_file": "/dev/null"}, "at least 8 characters"),
    ],
)
def test_a_token_has_one_source_that_works(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(admin={"tokens": [{"name": "ci"} | given]})


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8081", "127.example.com:8081", "localhost.example.com:8081", "[::]:8081"]
)
def test_admin_beyond_loopback_wants_tokens(listen: str) -> None:
    with pytest.raises(ValidationError, match="reachable from outside"):
        config(admin={"listen": listen})
    tokens = [{"name": "ci", "token": "long-enough"}]
    assert config(admin={"listen": "0.0.0.0:8081", "tokens": tokens}).admin.tokens[0].role == "viewer"
    assert config(admin={"listen": "[::1]:8081"}).admin.tokens == ()


def test_a_configuration_is_immutable() -> None:
    with pytest.raises(ValidationError):
        config().workers = 3  # type: ignore[misc]

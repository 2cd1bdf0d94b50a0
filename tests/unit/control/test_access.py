"""Who may call the admin API, rule by rule; test_admin tries the same from outside."""

import pytest
from aiohttp.test_utils import make_mocked_request

from router.config.schema import AdminToken
from router.control.admin.access import LOCAL, OPEN, authorize, is_loopback, role_of
from router.errors import Refused

TOKENS = (
    AdminToken(name="ci", token="operator-secret", role="operator"),
    AdminToken(name="wall", token="viewer-secret", role="viewer"),
)
LISTEN = "127.0.0.1:8081"


def who(
    method: str = "GET",
    path: str = "/api/v1/deployments",
    tokens: tuple[AdminToken, ...] = TOKENS,
    listen: str = LISTEN,
    **headers: str,
) -> str:
    request = make_mocked_request(method, path, headers={"Host": LISTEN} | headers)
    return authorize(request, tokens, listen)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("2130706433", False),
    ],
)
def test_loopback_is_only_what_can_mean_nothing_else(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_role_is_that_of_the_token_and_without_tokens_everybody_may_act() -> None:
    assert role_of("ci", TOKENS) == "operator"
    assert role_of("wall", TOKENS) == "viewer"
    assert role_of(LOCAL, ()) == "operator"


def test_a_token_names_its_bearer() -> None:
    assert who(Authorization="Bearer operator-secret") == "ci"
    assert who(Authorization="bearer  viewer-secret ") == "wall"
    assert who("POST", Authorization="Bearer operator-secret") == "ci"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_viewer_only_reads(method: str) -> None:
    with pytest.raises(Refused) as refused:
        who(method, Authorization="Bearer viewer-secret")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "given", ["", "Bearer ", "operator-secret", "Basic operator-secret", "Bearer operator"]
)
def test_anything_else_is_401(given: str) -> None:
    with pytest.raises(Refused) as refused:
        who(Authorization=given)
    assert refused.value.status == 401
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize("path", sorted(OPEN))
def test_probes_are_open(path: str) -> None:
    assert who(path=path, Host="10.0.0.9:8081") == ""


def test_without_tokens_whoever_is_on_this_machine_is_local() -> None:
    assert who("POST", tokens=()) == LOCAL
    assert who("POST", tokens=(), Origin=f"http://{LISTEN}") == LOCAL


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
def test_without_tokens_strangers_may_not_act(headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as refused:
        who("POST", tokens=(), **headers)
    assert refused.value.status == status


def test_reading_does_not_ask_for_the_origin() -> None:
    assert who("GET", tokens=(), Origin="http://evil.example") == LOCAL


@pytest.mark.parametrize("listen", ["0.0.0.0:8081", "10.0.0.1:8081", "[::]:8081", "nonsense"])
def test_without_tokens_nothing_is_answered_on_an_outer_address(listen: str) -> None:
    with pytest.raises(Refused) as refused:
        who(tokens=(), listen=listen)
    assert refused.value.status == 401

from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from router.cli.client import Admin, Failed, Session, deployment_path, talks_to_router
from tests.support.ports import free_ports


@click.command()
@talks_to_router
def probe(session: Session) -> None:
    session.show(session.admin.get("thing"), lambda answer: f"the answer is {answer['x']}")


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(probe, arguments, env=environ)
    return result.exit_code, result.stdout, result.stderr


def test_an_answer_is_shown_to_people_or_as_json(stub: Any) -> None:
    stub.answer("GET /api/v1/thing", {"x": 1})
    assert run("--admin", stub.url) == (0, "the answer is 1\n", "")
    assert run("--admin", stub.url, "--json") == (0, '{\n  "x": 1\n}\n', "")


def test_address_and_token_come_from_the_environment_too(stub: Any) -> None:
    stub.answer("GET /api/v1/thing", {"x": 1})
    assert run(ROUTER_ADMIN_URL=f"{stub.url}/", ROUTER_ADMIN_TOKEN="secret")[0] == 0
    assert run("--admin", stub.url, ROUTER_ADMIN_URL="http://127.0.0.1:9")[0] == 0
    assert stub.tokens == ["Bearer secret", ""]


def test_a_router_that_is_not_there(stub: Any) -> None:
    (port,) = free_ports(1)
    code, out, err = run("--admin", f"http://127.0.0.1:{port}")
    assert (code, out) == (1, "")
    assert err.startswith(f"router: no router at http://127.0.0.1:{port}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8081", "ftp://x", "http://[::1", "http://x:99999"])
def test_an_address_that_is_none(url: str) -> None:
    code, _, err = run("--admin", url)
    assert code == 1
    assert err.startswith(f"router: no router at {url}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            409,
            {"title": "Conflict", "detail": "it is rolled back:\nsay restart"},
            "it is rolled back: say restart",
        ),
        (401, {"title": "Unauthorized"}, "Unauthorized"),
        (500, [], "Internal Server Error"),
        (503, "text", "Service Unavailable"),
    ],
)
def test_a_refusal_is_one_line_with_the_reason(stub: Any, status: int, body: Any, said: str) -> None:
    stub.answer("GET /api/v1/thing", body, status)
    assert run("--admin", stub.url) == (1, "", f"router: GET {stub.url}/api/v1/thing: {status} {said}\n")


def html(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="<html>")


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("")


def test_something_else_that_answers_is_no_router() -> None:
    with pytest.raises(Failed, match="no JSON; is this a router's admin address"):
        Admin("http://x", transport=httpx.MockTransport(html)).get("thing")


def test_an_error_without_words_is_named_by_its_kind() -> None:
    with pytest.raises(Failed, match="GET http://x/api/v1/thing: ReadTimeout"):
        Admin("http://x", transport=httpx.MockTransport(broken)).get("thing")


def test_names_are_quoted_in_paths() -> None:
    assert deployment_path("loan-approval") == "deployments/loan-approval"
    assert deployment_path("a/../b c", "pairs") == "deployments/a%2F..%2Fb%20c/pairs"

from typing import Any

from click.testing import CliRunner

from router.cli.healthcheck import healthcheck
from tests.support.ports import free_ports


def run(url: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(healthcheck, ["--admin", url])
    return result.exit_code, result.stdout, result.stderr


def test_a_router_that_is_ready(stub: Any) -> None:
    stub.answer("GET /readyz", {})
    assert run(f"{stub.url}/") == (0, "ready\n", "")


def test_a_router_that_is_not_ready(stub: Any) -> None:
    stub.answer("GET /readyz", {}, 503)
    assert run(stub.url) == (1, "", f"router: GET {stub.url}/readyz: 503 Service Unavailable\n")


def test_no_router() -> None:
    (port,) = free_ports(1)
    code, out, err = run(f"http://127.0.0.1:{port}")
    assert (code, out) == (1, "")
    assert err.startswith(f"router: no router at http://127.0.0.1:{port}: ")


def test_no_address() -> None:
    assert run("nonsense")[0] == 1

"""How a command talks to a running router: the connection, the options all share, and what goes wrong."""

import json
import ssl
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from typing import Any
from urllib.parse import quote

import click
import httpx
from click.core import ParameterSource
from rich.console import RenderableType

from router.cli.output import output, show
from router.cli.wording import plain
from router.tls import ClientFiles, client_context

DEFAULT_ADMIN = "http://127.0.0.1:8081"
TIMEOUT = 10.0
"""Seconds to wait for an answer; a rollback takes at most about one."""


class Failed(click.ClickException):
    """Refused or unreachable: one line on stderr and exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"router: {self.message}", err=True)


class Admin:
    """The admin API of one router; `ca` is a PEM file of the authorities to believe (empty: the system's).

    Every call raises Failed with a line that names the URL, and so does a `ca` that can't be read.
    """

    def __init__(
        self, url: str, token: str = "", transport: httpx.BaseTransport | None = None, ca: str = ""
    ) -> None:
        self._url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            headers=headers, timeout=TIMEOUT, transport=transport, trust_env=False, verify=_believing(ca)
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON at `/api/v1/PATH`."""
        return self._json("GET", path, params=query)

    def wait_for(self, path: str, **query: str | int) -> Any:
        """The same, however long the answer takes."""
        return self._json("GET", path, params=query, timeout=None)

    def post(self, path: str, body: dict[str, Any] | None = None, seen: int | None = None) -> Any:
        """Acts, and returns the answer's JSON; not where the deployment has changed since generation `seen`."""
        headers = {} if seen is None else {"if-match": f'"{seen}"'}
        return self._json("POST", path, json=body or {}, headers=headers)

    def wait_post(self, path: str) -> Any:
        """Acts, however long it takes."""
        return self._json("POST", path, json={}, timeout=None)

    def metrics(self) -> str:
        """The metrics page, in the Prometheus text format."""
        return self._call("GET", f"{self._url}/metrics").text

    def _json(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._url}/api/v1/{path}"
        try:
            return self._call(method, url, **options).json()
        except ValueError:
            raise Failed(
                f"{method} {url}: the answer is no JSON; is this a router's admin address?"
            ) from None

    def _call(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, url, **options)
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Failed(f"no router at {self._url}: {error} (--admin names another address)") from None
        except httpx.HTTPError as error:
            raise Failed(f"{method} {url}: {str(error) or type(error).__name__}") from None
        if answer.is_error:
            raise Failed(f"{method} {url}: {answer.status_code} {reason_of(answer)}")
        return answer


def _believing(ca: str) -> ssl.SSLContext | bool:
    """What httpx takes as `verify`: the system's authorities are looked up only where they are needed."""
    if not ca:
        return True
    try:
        return client_context(ClientFiles(ca=ca))
    except OSError as error:
        raise Failed(f"--ca {ca}: {error.strerror or error}") from None


def reason_of(answer: httpx.Response) -> str:
    """What a problem+json answer says, in one line; the plain reason where it is none."""
    try:
        problem = answer.json()
    except ValueError:
        return answer.reason_phrase
    if not isinstance(problem, dict):
        return answer.reason_phrase
    reason = str(problem.get("detail") or problem.get("title") or answer.reason_phrase)
    return plain(reason)


def deployment_path(name: str, *rest: str) -> str:
    """The API's path of a deployment, or of something below it."""
    return "/".join(["deployments", quote(name, safe=""), *rest])


class Session:
    """What a command works with: the router it talks to, and how its answers are shown.

    `options` is what a command has to be given to reach the same router again: empty, or ` --admin URL`.
    """

    def __init__(self, admin: Admin, as_json: bool, options: str = "") -> None:
        self.admin = admin
        self.as_json = as_json
        self.options = options
        self.console = output()

    def show(self, answer: Any, render: Callable[[Any], RenderableType]) -> None:
        """Prints the answer as JSON where asked for, else what `render` makes of it."""
        if self.as_json:
            click.echo(json.dumps(answer, indent=2))
        else:
            self.print(render(answer))

    def print(self, shown: RenderableType) -> None:
        """For people."""
        show(self.console, shown)


def talks_to_router(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options --admin, --token, --ca and --json, and a Session as its first argument."""

    @click.option("--admin", "url", envvar="ROUTER_ADMIN_URL", show_envvar=True, default=DEFAULT_ADMIN,
                  show_default=True, metavar="URL", help="Admin address of the router.")  # fmt: skip
    @click.option("--token", envvar="ROUTER_ADMIN_TOKEN", show_envvar=True, default="", metavar="TOKEN",
                  help="Token, where the router asks for one.")  # fmt: skip
    @click.option("--ca", envvar="ROUTER_ADMIN_CA", show_envvar=True, default="", metavar="FILE",
                  help="Authorities to believe, where the router's is your own.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
    @wraps(command)
    def with_session(url: str, token: str, ca: str, as_json: bool, **arguments: Any) -> None:
        given = click.get_current_context().get_parameter_source
        options = f" --admin {url}" if given("url") is ParameterSource.COMMANDLINE else ""
        options += f" --ca {ca}" if given("ca") is ParameterSource.COMMANDLINE else ""
        with closing(Admin(url, token, ca=ca)) as admin:
            command(Session(admin, as_json, options), **arguments)

    return with_session

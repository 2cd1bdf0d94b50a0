"""`router healthcheck`: asks /readyz. It runs every few seconds, so the standard library has to do."""

from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import click

from router.tls import ClientFiles, client_context


@click.command()
@click.option("--admin", "url", envvar="ROUTER_ADMIN_URL", show_envvar=True, default="http://127.0.0.1:8081",
              show_default=True, metavar="URL", help="Admin address of the router.")  # fmt: skip
@click.option("--ca", envvar="ROUTER_ADMIN_CA", show_envvar=True, default="", metavar="FILE",
              help="Authorities to believe, where the router's is your own.")  # fmt: skip
def healthcheck(url: str, ca: str) -> None:
    """Exit 0 when the router is ready, for containers.

    \b
      HEALTHCHECK CMD ["router", "healthcheck"]
    """
    target = f"{url.rstrip('/')}/readyz"
    try:
        believing = [HTTPSHandler(context=client_context(ClientFiles(ca=ca)))] if ca else []
        with build_opener(ProxyHandler({}), *believing).open(target, timeout=2.0):
            click.echo("ready")
    except HTTPError as error:
        click.echo(f"router: GET {target}: {error.code} {error.reason}", err=True)
        raise SystemExit(1) from None
    except (OSError, ValueError) as error:
        click.echo(f"router: no router at {url}: {getattr(error, 'reason', error)}", err=True)
        raise SystemExit(1) from None

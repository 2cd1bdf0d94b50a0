"""`router serve`."""

from pathlib import Path

import click

from router.serve import serve as run


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--take-over", is_flag=True, help="Take the place of the controller that runs, which leaves its workers."
)
def serve(config: Path, take_over: bool) -> None:
    """Route traffic as CONFIG says, until stopped.

    CONFIG is a file, or a directory of files that make one configuration. An edit takes effect within a second;
    a wrong edit changes nothing and shows in `router status`. SIGTERM and Ctrl-C finish what is in flight.

    \b
      router serve router.yaml
      router serve --take-over router.yaml      # a new version of the program, without a refused connection
    """
    run(config, instead=take_over)

"""Commands about a configuration that nothing runs yet: validate and schema."""

import json
import os
from pathlib import Path

import click

from router.config.loader import Loaded, load
from router.config.schema import Config
from router.errors import ConfigError


def summary(loaded: Loaded) -> str:
    """One line on what a configuration holds: `loan-approval (canary), embed (proxied)`."""
    return ", ".join(
        f"{name} ({deployment.rollout.pattern if deployment.rollout else 'proxied'})"
        for name, deployment in loaded.config.deployments.items()
    )


@click.command()
@click.argument("paths", metavar="CONFIG...", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate(paths: tuple[Path, ...]) -> None:
    """Say everything that is wrong with configurations.

    Each CONFIG is a file, or a directory of files that make one configuration. Every problem is printed with
    its file and line. Exit code 2 when there is any.

    \b
      router validate router.yaml
      router validate configs/*.yaml
    """
    wrong = False
    for path in paths:
        try:
            loaded = load(path, os.environ)
        except ConfigError as error:
            wrong = True
            click.echo("\n".join(map(str, error.problems)), err=True)
        else:
            click.echo(f"{path}: ok: {summary(loaded)}")
    if wrong:
        raise SystemExit(2)


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    \b
      router schema > router.schema.json
      # first line of router.yaml, for the YAML language server:
      # yaml-language-server: $schema=router.schema.json
    """
    click.echo(
        json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()},
            indent=2,
        )
    )

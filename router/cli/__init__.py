"""The command line: `router COMMAND`. Floor 6.

Each command is one click command in a module of this package, named in COMMANDS and imported only when it is
called, so that `router --help` and `router validate` start at once.
"""

import importlib
from dataclasses import dataclass
from itertools import groupby

import click

import router


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `router --help`, and the module of this package whose attribute `name` is the command."""

    name: str
    module: str
    section: str
    summary: str


COMMANDS = {
    entry.name: entry
    for entry in (
        Entry("serve", "serve", "Run", "Route traffic as CONFIG says, until stopped."),
        Entry("demo", "demo", "Run", "See a pattern at work with two sample models and visible traffic."),
        Entry("validate", "check", "Check", "Say everything that is wrong with configurations."),
        Entry("schema", "check", "Check", "Print the JSON Schema of the configuration, for editors."),
        Entry("plan", "plan", "Check", "Print rollouts as timetables, at the traffic you expect."),
        Entry("status", "status", "Look", "Show what every deployment, or one, is doing."),
        Entry("history", "history", "Look", "Show what happened to a deployment: when, who, what and why."),
        Entry("whatif", "whatif", "Look", "Run other gates over what past rollouts counted."),
        Entry("pairs", "pairs", "Look", "Look at paired answers: tail, show, stats, export, sql, erase."),
        Entry("replay", "replay", "Look", "Send recorded requests to a new version and compare its answers."),
        Entry("rollback", "operate", "Act", "Send all requests to the trusted version, at once."),
        Entry("promote", "operate", "Act", "Go on to the next step, or end a pause."),
        Entry("pause", "operate", "Act", "Stay at the present step until resumed."),
        Entry("resume", "operate", "Act", "Go on with a paused rollout."),
        Entry("restart", "operate", "Act", "Begin a rollout anew, also after a rollback."),
        Entry("share", "operate", "Act", "Set the candidate's share by hand."),
        Entry("switch", "operate", "Act", "Make a colour live (blue-green)."),
        Entry("reload", "reload", "Act", "Read the configuration again, or replace the workers."),
        Entry("log-level", "loglevel", "Act", "Show or set what the log of a running router says."),
        Entry("healthcheck", "healthcheck", "", "Exit 0 when the router is ready, for containers."),
    )
}
"""Every command, in the order of `router --help`; those without a section are not shown there."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, entries in groupby(COMMANDS.values(), key=lambda entry: entry.section):
            if section:
                with formatter.section(section):
                    formatter.write_dl([(f"{entry.name:<8}", entry.summary) for entry in entries])


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(
    f"{router.__version__} ({'compiled' if router.COMPILED else 'not compiled'})", prog_name="router"
)
def main() -> None:
    """Shadow, canary and blue-green for model servers: one YAML, paired outputs, instant rollback.

    \b
      router validate router.yaml      is it right?
      router serve router.yaml         route traffic
      router status --watch            see how the rollouts go
      router rollback loan-approval    back to the trusted version, at once

    The commands that look and act talk to a running router's admin API, at http://127.0.0.1:8081 unless
    --admin or ROUTER_ADMIN_URL says otherwise. Exit code 1: refused, or not reachable. 2: wrong usage or
    configuration.
    """

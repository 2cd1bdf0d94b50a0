import resource
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import router
from router.cli import COMMANDS, main

HEAVY = ("httpx", "rich", "pydantic", "aiohttp", "asyncio")


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command with the names that lead to it."""
    context = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


ALL = commands(main)


def test_the_help_lists_every_command() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    shown = [entry for entry in COMMANDS.values() if entry.section]
    assert shown
    for entry in shown:
        assert f"  {entry.name} " in text
        assert entry.summary in text
    assert "healthcheck" not in text


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_one_can_live_from(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    example = f"router {' '.join(path)}" if path != ("healthcheck",) else 'CMD ["router", "healthcheck"]'
    assert example in result.output.partition("\n")[2], "an example"


@pytest.mark.parametrize("entry", COMMANDS.values(), ids=lambda entry: entry.name)
def test_the_summary_is_the_first_line_of_the_help(entry: router.cli.Entry) -> None:
    command = main.get_command(click.Context(main), entry.name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == entry.summary
    assert command.name == entry.name


@pytest.mark.parametrize(
    ("program", "heavy"),
    [
        ("router.cli", HEAVY),
        ("router.worker", ("httpx", "rich", "pydantic", "aiohttp", "ruamel")),
        ("router.recorder", ("httpx", "rich", "aiohttp", "ruamel")),
        ("router.control.plane", ("httpx", "rich", "duckdb")),
    ],
    ids=["help", "worker", "recorder", "controller"],
)
def test_a_program_imports_nothing_heavy_that_it_may_not_need(program: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {program}; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "router/demo/canary.yaml"]], ids=["help", "validate"]
)
def test_it_starts_fast(arguments: list[str]) -> None:
    """In seconds of CPU, best of three, for the machine may be busy; three times what it takes on an idle one."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "router.cli", *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.8


def test_the_version() -> None:
    built = "compiled" if router.COMPILED else "not compiled"
    assert (
        CliRunner().invoke(main, ["--version"]).output == f"router, version {router.__version__} ({built})\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["share", "loan"], ["switch", "loan", "red"], ["rollback"], ["validate"]],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr

import pytest
from rich.table import Table

from router.cli.output import output, show


def test_into_a_pipe_nothing_is_wrapped_and_no_line_ends_with_blanks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("x" * 500, "[b]not markup[/b]")
    table.add_row("y", "")
    show(output(), table)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "x" * 500 + "  [b]not markup[/b]"
    assert second == "y"

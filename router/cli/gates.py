"""How the rulings of gates look, wherever they are shown."""

from typing import Any

from rich.table import Table
from rich.text import Text

from router.cli.wording import VERDICT_STYLES, plain


def gates_table(rulings: list[dict[str, Any]]) -> Table:
    """A row for each gate: what it says now, and why."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for ruling in rulings:
        verdict = ruling["verdict"]
        held = " (holds)" if ruling["hold"] and verdict != "fail" else ""
        table.add_row(
            ruling["gate"], Text(verdict + held, VERDICT_STYLES.get(verdict, "")), Text(plain(ruling["why"]))
        )
    return table

"""`python -m router.cli`, where the `router` script is not on the path."""

from router.cli import main

main(prog_name="router")

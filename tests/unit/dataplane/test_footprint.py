"""Memory as the system counts it."""

import subprocess
import sys

FREES = """
from router.dataplane.footprint import give_back, resident
before = resident()
held = [bytes(10_000) for _ in range(10_000)]
grown = resident()
assert grown - before > 80 << 20
kept = held[::1000]  # so that the heap can't simply shrink from its end
del held
give_back()
assert resident() < grown - (60 << 20)
assert len(kept) == 10
"""


def test_what_is_freed_can_be_given_back() -> None:
    """In a process of its own: what other tests have freed before would be taken first."""
    done = subprocess.run([sys.executable, "-c", FREES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""How many examples a property tries, in proportion to the profile (tests/conftest.py)."""

from hypothesis import settings


def examples(count: int) -> int:
    """So many in the profile that decides, and as many times more as another profile tries more than that."""
    return max(count * settings().max_examples // 100, 1)

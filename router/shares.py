"""Shares as whole numbers of parts. Floor 0, and without pydantic: workers count with them and read no YAML."""

SHARE_PARTS = 10_000
"""A share is a whole number of these parts: assignment hashes keys over as many buckets."""


def share_parts(share: float) -> int:
    """The share as a whole number of SHARE_PARTS."""
    return round(share * SHARE_PARTS)

"""What all frames are: immutable, and tagged with their type on the wire."""

import msgspec


class Frame(msgspec.Struct, frozen=True, tag=True):
    """Base of all frames."""

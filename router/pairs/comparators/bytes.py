"""Compares bodies byte by byte."""

from typing import Literal

from router.pairs.comparators.base import Comparison, WholeBodySpec, mismatch
from router.pairs.content import Content


class BytesComparator(WholeBodySpec):
    """`{bytes: {}}`: bodies match when they hold the same bytes, a content coding removed."""

    tag: Literal["bytes"] = "bytes"

    def compare_different(self, primary: Content, shadow: Content) -> Comparison:
        return mismatch("body", f"{len(primary.data)} bytes", f"{len(shadow.data)} bytes")

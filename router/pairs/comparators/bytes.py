"""Compares bodies byte by byte."""

from typing import Literal

from router.spec import Spec


class BytesComparator(Spec):
    """`{bytes: {}}`."""

    kind: Literal["bytes"] = "bytes"

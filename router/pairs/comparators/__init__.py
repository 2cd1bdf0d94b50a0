"""The comparators. A new one is a file here and a line below."""

from typing import Annotated

from pydantic import Discriminator

from router.pairs.comparators.bytes import BytesComparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.comparators.label import LabelComparator
from router.pairs.comparators.score import ScoreComparator
from router.pairs.comparators.text import TextComparator
from router.spec import OneKey

Comparator = Annotated[
    JsonComparator | LabelComparator | ScoreComparator | TextComparator | BytesComparator,
    Discriminator("tag"),
    OneKey(),
]
"""One comparator, written `{kind: {settings}}`."""

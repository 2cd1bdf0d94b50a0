"""The schemas of the admin API against the values they describe."""

import msgspec
import pytest

from router.control.admin.rollouts import PromoteBody, Reason, ShareBody, SwitchBody
from router.control.admin.schemas import SCHEMAS
from router.control.terms import Answer
from router.control.trends import Counted, Moment
from router.rollout.journal import Entry
from router.rollout.verdict import Ruling


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Answer", Answer),
        ("Event", Entry),
        ("Ruling", Ruling),
        ("Reason", Reason),
        ("Moment", Moment),
        ("Counted", Counted),
        ("Share", ShareBody),
        ("Promote", PromoteBody),
        ("Switch", SwitchBody),
    ],
)
def test_a_schema_has_the_fields_of_what_it_describes(name: str, kind: type[msgspec.Struct]) -> None:
    assert set(SCHEMAS[name]["properties"]) == set(kind.__struct_fields__)

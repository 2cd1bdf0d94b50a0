"""Every case, its bytes in one write."""

import pytest

from tests.rfc.cases import FromClient, FromUpstream
from tests.rfc.rig import Rig
from tests.rfc.tables import TOPICS

ALL = [pytest.param(case, id=f"{topic}: {case.name}") for topic, cases in TOPICS.items() for case in cases]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", ALL)
async def test_a_case_holds(rig: Rig, case: FromClient | FromUpstream) -> None:
    await rig.play(case)


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for cases in TOPICS.values() for case in cases]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
    assert len(names) >= 300

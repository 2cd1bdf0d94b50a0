"""Every case, byte by byte: the verdict does not depend on how the bytes arrive."""

import pytest

from tests.rfc.cases import FromClient, FromUpstream
from tests.rfc.rig import Rig, bytewise
from tests.rfc.tables import TOPICS

ALL = [pytest.param(case, id=f"{topic}: {case.name}") for topic, cases in TOPICS.items() for case in cases]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", ALL)
async def test_a_case_holds_byte_by_byte(rig: Rig, case: FromClient | FromUpstream) -> None:
    await rig.play(case, bytewise)

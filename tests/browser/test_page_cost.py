"""What the page is allowed to cost, with bounds that hold on a busy machine; `make page-cost` measures it."""

from pathlib import Path
from statistics import median

import pytest

from tests.browser.browsing import browser, needs_chromium
from tests.browser.cost import busy, costs, opening

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_chromium, pytest.mark.timeout(400)]


async def test_an_open_list_of_ramping_deployments_costs_less_than_100_ms_a_minute(tmp_path: Path) -> None:
    async with busy(tmp_path, gated=20, plain=0) as router, browser() as running:
        assert median(await costs(running, router, "", seconds=20, rounds=3)) < 100
        assert min([await opening(running, router, "") for _ in range(5)]) < 1

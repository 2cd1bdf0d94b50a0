"""What an edit may change while the router runs, and what waits for a restart."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from router.config.schema import Config
from router.control.plane import take, with_fixed

RUNNING: dict[str, Any] = {
    "listen": "127.0.0.1:80",
    "workers": 2,
    "admin": {"listen": "127.0.0.1:81", "tokens": [{"name": "a", "token": "12345678"}]},
    "state": {"path": "db"},
    "deployments": {"d": {"match": {"path": "/**"}, "versions": {"v1": {"url": "http://a"}}}},
}


def config(**changes: Any) -> Config:
    return Config.model_validate(RUNNING | changes)


@pytest.mark.parametrize(
    ("change", "section"),
    [
        ({"listen": "127.0.0.1:90"}, "listen"),
        ({"workers": 3}, "workers"),
        ({"state": {"path": "other"}}, "state"),
        ({"admin": {"listen": "127.0.0.1:91"}}, "admin"),
    ],
)
def test_what_is_fixed_stays_and_the_rest_takes_effect(
    change: dict[str, Any], section: str, caplog: pytest.LogCaptureFixture
) -> None:
    running = config()
    wanted = config(**change, pairs={"path": "elsewhere"})
    result = with_fixed(wanted, running)
    assert getattr(result, section) == getattr(running, section)
    assert result.pairs.path == "elsewhere"
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == [section]
    assert "needs a restart" in caplog.text


ANY = "127.0.0.1:90"
PAIR = {"cert": "a.pem", "key": "b.pem"}
OTHER = {"cert": "c.pem", "key": "d.pem"}


def test_other_certificates_need_no_restart(caplog: pytest.LogCaptureFixture) -> None:
    def with_tls(pair: dict[str, str]) -> Config:
        listen = [{"address": "127.0.0.1:1", "tls": pair}, "127.0.0.1:2"]
        return config(listen=listen, admin={"listen": "127.0.0.1:81", "tls": pair})

    wanted = with_tls(OTHER)
    assert with_fixed(wanted, with_tls(PAIR)) == wanted
    assert caplog.text == ""


@pytest.mark.parametrize("section", ["listen", "admin"])
def test_tls_itself_does(section: str, caplog: pytest.LogCaptureFixture) -> None:
    key = "address" if section == "listen" else "listen"
    running, wanted = config(**{section: {key: ANY}}), config(**{section: {key: ANY, "tls": PAIR}})
    assert with_fixed(wanted, running) == running
    assert f"{section} changed: this needs a restart" in caplog.text


def test_tokens_change_without_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    wanted = config(admin={"listen": "127.0.0.1:81", "tokens": [{"name": "b", "token": "87654321"}]})
    assert with_fixed(wanted, config()) == wanted
    assert caplog.text == ""


async def test_looking_costs_what_it_computes_and_not_the_time_in_which_others_have_the_machine() -> None:
    turns = []

    def steps() -> Iterator[None]:
        for number in range(3):
            time.sleep(0.05)  # as where somebody else has the processor
            turns.append(number)
            yield

    async def meanwhile() -> None:
        while len(turns) < 3:
            turns.append(-1)
            await asyncio.sleep(0)

    other = asyncio.create_task(meanwhile())
    spent = await take(steps())
    await other
    assert spent < 0.05
    assert turns[:3] == [0, -1, 1]  # everything else has its turn

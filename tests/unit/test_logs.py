"""Log lines: JSON where machines read, plain where people do."""

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from router import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)


def test_json_lines_name_time_level_process_pid_and_logger() -> None:
    stream = io.StringIO()
    logs.configure("worker-0", stream, {})
    logging.getLogger("router.dataplane.pool").warning("lost %d of\n%s", 3, 'ä"')
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert fields.pop("time").endswith("+00:00")
    assert fields == {
        "level": "WARNING",
        "process": "worker-0",
        "pid": os.getpid(),
        "logger": "router.dataplane.pool",
        "message": 'lost 3 of\nä"',
    }


def test_an_exception_stays_in_its_line() -> None:
    stream = io.StringIO()
    logs.configure("recorder", stream, {})
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger().exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "KeyError: 'gone'" in json.loads(line)["exception"]


def test_a_terminal_gets_lines_for_people() -> None:
    stream = Terminal()
    logs.configure("controller", stream, {})
    logging.getLogger("router.control.supervisor").error("worker-0 died")
    text = stream.getvalue()
    assert f"ERROR   controller[{os.getpid()}] supervisor: worker-0 died\n" in text
    assert not text.startswith("{")


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("INFO", 2), ("ERROR", 1)])
def test_the_level_comes_from_the_environment(level: str, lines: int) -> None:
    stream = io.StringIO()
    logs.configure("x", stream, {"ROUTER_LOG_LEVEL": level})
    for say in (logging.debug, logging.info, logging.error):
        say("hello")
    assert len(stream.getvalue().splitlines()) == lines


@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("DEBUG", 2)])
def test_libraries_are_heard_when_something_is_wrong(level: str, lines: int) -> None:
    stream = io.StringIO()
    logs.configure("x", stream, {"ROUTER_LOG_LEVEL": level})
    logging.getLogger("asyncio").info("polling took 9 ms")
    logging.getLogger("asyncio").warning("trouble")
    assert len(stream.getvalue().splitlines()) == lines


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 1), ("INFO", 1), ("ERROR", 0)])
def test_urls_of_calls_are_in_no_log(level: str, lines: int) -> None:
    stream = io.StringIO()
    logs.configure("x", stream, {"ROUTER_LOG_LEVEL": level})
    logging.getLogger("httpx").info("POST https://hooks.example.com/services/secret")
    logging.getLogger("httpcore.connection").debug("the same")
    logging.getLogger("httpx").warning("trouble")
    assert len(stream.getvalue().splitlines()) == lines


def test_the_level_may_change_while_it_runs() -> None:
    stream = io.StringIO()
    logs.configure("x", stream, {})
    assert logs.level() == "INFO"
    logs.set_level("DEBUG")
    logging.getLogger("watchfiles").debug("heard now")
    logs.set_level("ERROR")
    logging.getLogger("watchfiles").warning("not any more")
    assert logs.level() == "ERROR"
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["heard now"]


def test_an_unknown_level_is_said_and_info_taken() -> None:
    stream = io.StringIO()
    logs.configure("x", stream, {"ROUTER_LOG_LEVEL": "LOUD"})
    assert "known: DEBUG, INFO" in stream.getvalue()
    assert logging.getLogger().level == logging.INFO


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure("worker", first, {})
    logs.configure("worker-3", second, {})
    logging.warning("once")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["process"] == "worker-3"

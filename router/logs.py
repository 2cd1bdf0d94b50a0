"""Logging, set up the same way in every process. Floor 0.

Lines for people on a terminal, JSON lines everywhere else; both name the process and its pid, for the lines
of controller, workers and recorder usually end up in one stream.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

LEVEL_VARIABLE = "ROUTER_LOG_LEVEL"

_CHATTY = ("watchfiles", "asyncio")
"""Libraries that report every call at INFO; heard from WARNING on, unless DEBUG is asked for."""

_INDISCREET = ("httpx", "httpcore")
"""Libraries that report the URL of every call, and those of gates and notices are secrets: heard from WARNING on."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""How much may be said, the most first."""


def configure(process: str, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Sends all logging to `stream` (standard error by default), replacing what was set up before.

    `process` says which process this is (`controller`, `worker-0`, `recorder`). The level is taken from
    ROUTER_LOG_LEVEL; INFO when it is absent or unknown, and the latter is said.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter(process) if stream.isatty() else JsonFormatter(process))
    wanted = environ.get(LEVEL_VARIABLE, "INFO").upper()
    logging.getLogger().handlers[:] = [handler]
    set_level(wanted if wanted in LEVELS else "INFO")
    if wanted not in LEVELS:
        logging.getLogger(__name__).warning(
            "%s is %r: taking INFO (known: %s)", LEVEL_VARIABLE, wanted, ", ".join(LEVELS)
        )


def level() -> str:
    """What this process says at least now; one of LEVELS."""
    return logging.getLevelName(logging.getLogger().level)


def set_level(wanted: str) -> None:
    """From now on this process says what is of this level (of LEVELS) or above."""
    logging.getLogger().setLevel(wanted)
    for name in _INDISCREET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(wanted)))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING if wanted == "INFO" else logging.NOTSET)


class HumanFormatter(logging.Formatter):
    """`12:30:01.042 WARNING controller[71] supervisor: worker-0 died`, local time."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        source = record.name.rpartition(".")[2]
        text = f"{at} {record.levelname:<7} {self._process}[{os.getpid()}] {source}: {record.getMessage()}"
        trace = _trace(self, record)
        return f"{text}\n{trace}" if trace else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, process, pid, logger, message, and exception if any."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = _trace(self, record)
        if trace:
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""

"""Builds wheels with the data plane compiled (mypyc), where there is a C compiler; all else is setuptools' own doing.

The sources are the same, and run as they are in an editable install, or where nothing can be compiled; a worker then
takes half as much CPU again, nearly twice as much where requests are copied (docs/performance.md). ROUTER_COMPILE=0
in the environment leaves a wheel uncompiled, ROUTER_COMPILE=1 fails where it can't be compiled.
"""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  the other hooks of PEP 517, as they are

SWITCH = "ROUTER_COMPILE"
"""What people say: 0 or 1."""

COMPILING = "ROUTER_COMPILING"
"""What `build_wheel` says to setup.py, which is read for other purposes too."""

COMPILER = ["msgspec==0.22.0", "mypy[mypyc]==2.4.1"]
"""What compiles, and what it has to know of types."""

Settings = Mapping[str, Any] | None


def compiles() -> bool:
    """Whether a wheel is compiled: as the environment says, or where there are a C compiler and Python's headers."""
    said = os.environ.get(SWITCH, "")
    if said in ("0", "1"):
        return said == "1"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What has to be there before `build_wheel` (PEP 517)."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *(COMPILER if compiles() else [])]


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """The wheel's file name (PEP 517). Raises SystemExit where it can't be compiled."""
    if compiles():
        os.environ[COMPILING] = "1"
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)

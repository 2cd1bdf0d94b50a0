"""What pyproject.toml has no words for: which modules are compiled. `build_backend` decides whether they are."""

import os
from glob import glob

from setuptools import setup

from build_backend import COMPILING

PLAIN = ("__init__.py", "leaving.py", "tunnel.py", "observer.py", "footprint.py")
"""Not compiled: what is not run for every request, and may have bases that are not compiled either."""


def sources() -> list[str]:
    """The modules that every request runs through."""
    found = glob("router/http1/*.py") + glob("router/dataplane/*.py")
    found += ["router/telemetry/counters.py", "router/telemetry/events.py"]
    return sorted(path for path in found if not path.endswith(PLAIN))


def compiled() -> list[object]:
    from mypyc.build import mypycify  # noqa: PLC0415  it is there only where something is compiled

    # Types are checked where the code is written, with all that it imports; here they only have to be known.
    options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
    return list(mypycify([*options, *sources()], opt_level="3", debug_level="0"))


setup(ext_modules=compiled() if COMPILING in os.environ else [])

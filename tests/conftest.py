"""What holds for every test: how hypothesis looks for examples, and what the processes that tests start inherit.

Of the two profiles `fixed` decides whether a change is taken, and `search` is for finding more.

`fixed` (the default) tries the same examples in every run, on every machine: what it refuses once it refuses always,
and what passed does not fail tomorrow by chance. `HYPOTHESIS_PROFILE=search` tries others each time and many more of
them, and keeps what failed under `.hypothesis`; what it finds belongs into the test as an `@example`.
Neither measures time: a busy machine is no fault of the property.
"""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

import router


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With the data plane compiled, tests that put parts of their own into it can't run (`make test-compiled`)."""
    if router.COMPILED:
        why = pytest.mark.skip("a class that is compiled has no subclass that is not")
        for item in items:
            if item.get_closest_marker("uncompiled") is not None:
                item.add_marker(why)


# An assertion in a helper shows its values like one in a test.
pytest.register_assert_rewrite("tests.support")

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("fixed", PATIENT, derandomize=True, database=None)
settings.register_profile("search", PATIENT, derandomize=False, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Whoever starts the suite in the background of a shell has it ignore SIGINT, and every process it starts with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of processes of the program are started, which would each compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

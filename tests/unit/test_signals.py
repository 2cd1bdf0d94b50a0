"""Signals for the controller alone, in a process of its own."""

import signal
import subprocess
import sys

from router.signals import CONTROLLERS

CODE = """
import os, signal
from router.signals import CONTROLLERS, leave_to_the_controller
leave_to_the_controller()
for number in CONTROLLERS:
    os.kill(os.getpid(), number)
print("alive", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_process_outlives_them_and_no_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.stdout, done.returncode) == ("alive\n", -signal.SIGTERM), done.stderr
    assert {signal.SIGHUP, signal.SIGUSR2} < set(CONTROLLERS)

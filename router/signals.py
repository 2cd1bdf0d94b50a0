"""Signals that are for the controller alone. Floor 0.

Who means the controller reaches its workers and its recorder as well, by `systemctl kill` without `--kill-whom=main`
or `pkill -HUP -f router`: untold what to do, those would die of it, and all that is in flight with them.
"""

import signal

CONTROLLERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def leave_to_the_controller() -> None:
    """This process, and those it starts, do nothing at these."""
    for number in CONTROLLERS:
        signal.signal(number, signal.SIG_IGN)

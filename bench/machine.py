"""What the run happens on: cores, processor, kernel."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """Which core does what: what is measured never shares one with what measures."""

    load: int
    proxy: tuple[int, ...]

    @classmethod
    def of(cls, usable: list[int]) -> "Cores":
        """The first for load, upstream and all that is beside the path of a request, the others for the proxy.

        Raises ValueError for fewer than two.
        """
        if len(usable) < 2:
            raise ValueError("needs two cores: one for the proxy, and one for load and upstream")
        return cls(usable[0], tuple(usable[1:]))

    def for_workers(self, count: int) -> set[int]:
        """As many proxy cores as there are, up to `count`: with two cores in all, workers share one."""
        return set(self.proxy[:count])


def usable_cores() -> list[int]:
    """Those this process may run on."""
    return sorted(os.sched_getaffinity(0))


def describe() -> str:
    """Processor, cores, kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (
        f"{len(usable_cores())} x {models[0] if models else platform.machine()}, Linux {platform.release()}"
    )

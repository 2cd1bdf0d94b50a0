"""How much memory this process has in its hands, and giving back what it has freed: Linux; the latter with glibc."""

import ctypes
import resource

_PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of this process that are in memory now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def give_back() -> None:
    """Freed memory goes back to the system, as far as whole pages of it are free; other C libraries do so unasked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

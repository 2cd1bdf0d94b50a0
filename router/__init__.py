"""router: the traffic router ML teams put in front of their model servers."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__version__ = "0.1.0"

COMPILED = any(
    Path(__file__).with_name("http1").joinpath(f"plain{end}").exists() for end in EXTENSION_SUFFIXES
)
"""Whether the modules that every request runs through were compiled when this was installed."""

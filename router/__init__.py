"""router: the traffic router ML teams put in front of their model servers."""

__version__ = "0.1.0"

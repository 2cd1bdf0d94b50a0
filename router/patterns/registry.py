"""The patterns a rollout can follow. A new one is a file beside this and a line below.

Each is a frozen model of its part of the YAML that compiles itself and an Exposure to a Plan. Its
`version_keys` are the keys whose value is the name of a version or a list of them; all names differ, which
`config.checks` sees to.
"""

from router.patterns.blue_green import BlueGreenPattern
from router.patterns.canary import CanaryPattern
from router.patterns.shadow import ShadowPattern

PATTERNS = (ShadowPattern, CanaryPattern, BlueGreenPattern)

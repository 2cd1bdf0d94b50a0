"""What a rollout does to requests: patterns compile to plans, and workers read plans alone.

`registry` holds the patterns. It is no part of this file, because a worker has no use for them, nor for the library
that reads their YAML.
"""

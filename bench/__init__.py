"""`make bench`: what a proxied request costs, beside the proxies people use today, in one run.

Absolute times are noise on shared machines; what counts is CPU per request as a ratio to a peer measured in the same
rounds. Everything runs on loopback, bounded in time: the proxy on one core, load and upstream on another. The method
is in docs/performance.md; a scenario is one file in `scenarios`, a proxy one file in `peers`, a bar one line in `bars`.
"""

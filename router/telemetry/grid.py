"""The grid of alternatives that evidence is weighed against: one home for who counts and who judges.

Floor 1. The recorder sums ln(1 + (rho - 1) y) of scores y over it (`channel.ScoreSums`); `rollout.inference`
weighs these sums.
"""

GRID: tuple[float, ...] = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""The odds multipliers rho, each with weight 1/8: what not knowing the true one costs is at most ln 8 = 2.1 nats."""

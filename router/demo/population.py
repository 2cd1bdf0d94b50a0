"""The people who ask for a loan in the demo: what the models are fitted on and what the traffic sends."""

from random import Random

FEATURES = ("income", "debt_ratio", "history", "amount", "late_payments", "employed")
"""Thousands a year; debt as a part of income; years of credit history; thousands asked for; late payments in
two years; years in the present job."""

Applicant = tuple[float, ...]
"""One value for each of FEATURES."""


def applicant(random: Random) -> Applicant:
    """One person, drawn from a population that does not change."""
    income = min(250.0, max(12.0, random.lognormvariate(3.9, 0.5)))
    debt_ratio = random.betavariate(2.0, 4.0)
    history = min(40.0, random.gammavariate(2.0, 5.0))
    amount = max(1.0, income * random.lognormvariate(-1.2, 0.6))
    late_payments = float(min(12, int(random.expovariate(0.8 - 0.4 * debt_ratio))))
    employed = min(40.0, random.expovariate(0.2))
    return (
        round(income, 2),
        round(debt_ratio, 3),
        round(history, 1),
        round(amount, 2),
        late_payments,
        round(employed, 1),
    )

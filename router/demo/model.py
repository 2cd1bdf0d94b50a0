"""A logistic regression that decides on loans: coefficients from a file, arithmetic and nothing else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

COEFFICIENTS = Path(__file__).with_name("loan.json")
"""Written by `python -m router.demo.fit`."""

THRESHOLD = 0.5
"""A loan is approved from this probability of being paid back."""


@dataclass(frozen=True, slots=True)
class LoanModel:
    """One version: the log-odds of paying back are `bias` plus `weights` times the features."""

    version: str
    bias: float
    weights: tuple[float, ...]

    def probability(self, row: Sequence[float]) -> float:
        """How likely the applicant pays back. `row` has one value for each weight."""
        odds = self.bias + sum(weight * value for weight, value in zip(self.weights, row, strict=True))
        if odds < 0:
            return exp(odds) / (1.0 + exp(odds)) if odds > -700.0 else 0.0
        return 1.0 / (1.0 + exp(-odds))

    def approves(self, row: Sequence[float]) -> bool:
        return self.probability(row) >= THRESHOLD


def read_coefficients(path: Path = COEFFICIENTS) -> dict[str, Any]:
    """The file as it is: `features`, `versions` and the `agreement` of v1 and v2."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def load(version: str, path: Path = COEFFICIENTS) -> LoanModel:
    """The model of that version. Raises KeyError when the file has none."""
    fitted = read_coefficients(path)["versions"][version]
    return LoanModel(version, fitted["bias"], tuple(fitted["weights"]))


def known_agreement(path: Path = COEFFICIENTS) -> float:
    """On which part of the population both versions decide alike, as computed when they were fitted."""
    return float(read_coefficients(path)["agreement"])

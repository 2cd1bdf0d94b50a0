"""Fits both versions of the demo's model and writes `loan.json`: `python -m router.demo.fit`.

Standard library only, and the same file every time: the data are synthetic, from fixed seeds. Version 1 saw
people of the past, who paid back less often the higher their debts. Version 2 saw the present, where debts
weigh two thirds of that. On how many people they decide alike is counted and written down too, so that the
agreement the router measures has something to be held against.
"""

import json
from collections.abc import Sequence
from math import exp
from random import Random

from router.demo.model import COEFFICIENTS, LoanModel
from router.demo.population import FEATURES, Applicant, applicant

Matrix = list[list[float]]

SAMPLES = 6_000
AGREEMENT_SAMPLES = 50_000
TRUTH = {
    "v1": LoanModel("v1", 1.2, (0.022, -4.5, 0.05, -0.035, -0.35, 0.06)),
    "v2": LoanModel("v2", 0.7, (0.022, -3.0, 0.05, -0.035, -0.35, 0.06)),
}
"""How people of either time really behave; the models see only whether each paid back."""


def observe(truth: LoanModel, samples: int, random: Random) -> tuple[list[Applicant], list[bool]]:
    """People, and whether they paid back."""
    people = [applicant(random) for _ in range(samples)]
    return people, [random.random() < truth.probability(person) for person in people]


def solve(matrix: Matrix, target: list[float]) -> list[float]:
    """x with matrix · x = target, by Gaussian elimination with partial pivoting."""
    size = len(target)
    rows = [[*row, value] for row, value in zip(matrix, target, strict=True)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda index: abs(rows[index][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for lower in rows[column + 1 :]:
            factor = lower[column] / rows[column][column]
            for index in range(column, size + 1):
                lower[index] -= factor * rows[column][index]
    solution = [0.0] * size
    for row in reversed(range(size)):
        known = sum(rows[row][column] * solution[column] for column in range(row + 1, size))
        solution[row] = (rows[row][size] - known) / rows[row][row]
    return solution


def fit(version: str, people: Sequence[Applicant], paid: Sequence[bool], rounds: int = 8) -> LoanModel:
    """Maximum likelihood by Newton's method; eight rounds are past convergence."""
    size = len(FEATURES) + 1
    inputs = [(1.0, *person) for person in people]
    weights = [0.0] * size
    for _ in range(rounds):
        gradient = [0.0] * size
        hessian = [[0.0] * size for _ in range(size)]
        for row, outcome in zip(inputs, paid, strict=True):
            odds = sum(weight * value for weight, value in zip(weights, row, strict=True))
            probability = 1.0 / (1.0 + exp(-odds))
            curvature = probability * (1.0 - probability)
            for i, value in enumerate(row):
                gradient[i] += (outcome - probability) * value
                scaled = curvature * value
                for j in range(i + 1):
                    hessian[i][j] += scaled * row[j]
        for i in range(size):
            for j in range(i):
                hessian[j][i] = hessian[i][j]
        weights = [weight + step for weight, step in zip(weights, solve(hessian, gradient), strict=True)]
    bias, *slopes = (round(weight, 5) for weight in weights)
    return LoanModel(version, bias, tuple(slopes))


def agreement(one: LoanModel, other: LoanModel, samples: int, random: Random) -> float:
    """The part of the population on which both decide alike, from that many people."""
    people = (applicant(random) for _ in range(samples))
    return sum(one.approves(person) == other.approves(person) for person in people) / samples


def main() -> None:
    models = {
        name: fit(name, *observe(truth, SAMPLES, Random(seed)))
        for seed, (name, truth) in enumerate(TRUTH.items(), start=1)
    }
    content = {
        "features": FEATURES,
        "versions": {name: {"bias": model.bias, "weights": model.weights} for name, model in models.items()},
        "agreement": round(agreement(models["v1"], models["v2"], AGREEMENT_SAMPLES, Random(3)), 4),
    }
    COEFFICIENTS.write_text(json.dumps(content, indent=2) + "\n")
    print(f"{COEFFICIENTS}: v1 and v2 decide alike on {content['agreement']:.2%} of applicants")


if __name__ == "__main__":
    main()

"""`python -m tests.fuzz [--seconds N | --runs N] [TARGET ...]`: each target for its part of N seconds, by atheris; or
each over N inputs that are the same in every run, so that what they refuse they refuse always.

What it finds interesting in so many seconds is kept under var/fuzz for the next time; what fails is written there as
`crash-*`, and the exit code is 1. `python -m tests.fuzz --run TARGET` is one target in this process, for libFuzzer's
own options.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = Path("var/fuzz")
KEPT = Path(__file__).parent / "corpus"
LONGEST = 4096
"""Bytes of an input: enough for every property, and far below the limits of a head."""

STALL = 10
"""Seconds that one input may take."""


def run(name: str, options: list[str]) -> None:
    """Fuzzes one target until libFuzzer ends the process. What it reads must be imported in here: to be followed."""
    import atheris  # only who fuzzes needs it

    with atheris.instrument_imports(include=["router", "tests.fuzz"]):
        from tests.fuzz.registry import TARGETS

    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, found: Path, *bound: str) -> bool:
    """Whether the target held. What is in `found` is gone on from, and what is interesting is kept there."""
    found.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "tests.fuzz", "--run", name, *bound, f"-max_len={LONGEST}", f"-timeout={STALL}",
        f"-artifact_prefix={FOUND / name}-", "-print_final_stats=1", str(found), str(KEPT / name),
    ]  # fmt: skip
    # What is followed is the same way through the code: the order of sets is part of it.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    lines = done.stderr.splitlines()
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    print(f"{name}: {runs} inputs, {'held' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode:
        print("\n".join([*done.stdout.splitlines()[-30:], *lines[-30:]]), file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], sys.argv[3:])
    from tests.fuzz.registry import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--runs", type=int, default=0, help="inputs for each target, the same each time")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, if none is named")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    FOUND.mkdir(parents=True, exist_ok=True)
    if options.runs:
        with tempfile.TemporaryDirectory() as fresh:
            held = [fuzz(name, Path(fresh, name), f"-runs={options.runs}", "-seed=1") for name in names]
    else:
        each = max(options.seconds // len(names), 1)
        held = [fuzz(name, FOUND / name, f"-max_total_time={each}") for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

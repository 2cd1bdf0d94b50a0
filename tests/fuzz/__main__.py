"""`python -m tests.fuzz [--seconds N] [TARGET ...]`: each target for its part of N seconds, by atheris.

What it finds interesting is kept under var/fuzz for the next run; what fails is written there as `crash-*`, and the
exit code is 1. `python -m tests.fuzz --run TARGET` is one target in this process, for libFuzzer's own options.
"""

import argparse
import subprocess
import sys
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


def fuzz(name: str, seconds: int) -> bool:
    """Whether the target held."""
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "tests.fuzz", "--run", name, f"-max_total_time={seconds}", f"-max_len={LONGEST}",
        f"-timeout={STALL}", f"-artifact_prefix={found}-", "-print_final_stats=1", str(found), str(KEPT / name),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    print(f"{name}: {runs} inputs in {seconds} s, {'held' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode:
        print("\n".join([*done.stdout.splitlines()[-30:], *lines[-30:]]), file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], sys.argv[3:])
    from tests.fuzz.registry import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, if none is named")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    each = max(options.seconds // len(names), 1)
    failed = [name for name in names if not fuzz(name, each)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

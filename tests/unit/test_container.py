"""The Dockerfile keeps its promises, as far as reading it can tell; docs/operations.md says how it was built."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

Instruction = tuple[str, str]


def parse(text: str) -> list[list[Instruction]]:
    """The instructions of each stage, in order."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    stages: list[list[Instruction]] = [[]]  # what stands before the first one is of none
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest.strip()))
    return stages


BEFORE, *STAGES = parse((ROOT / "Dockerfile").read_text())


def of(stage: list[Instruction], name: str) -> list[str]:
    return [rest for instruction, rest in stage if instruction == name]


def only(name: str) -> str:
    (found,) = of(STAGES[-1], name)
    return found


def test_two_stages_and_nothing_is_installed_in_the_second() -> None:
    build, final = STAGES
    assert of(BEFORE, "ARG") == ["PYTHON=python:3.11-slim"]
    assert [of(stage, "FROM")[0].split()[0] for stage in STAGES] == ["${PYTHON}"] * 2
    assert any("venv --without-pip /opt/router" in run for run in of(build, "RUN")), "nothing to install with"
    assert any(
        "pip --python /opt/router/bin/python install" in run and "--constraint constraints.txt" in run
        for run in of(build, "RUN")
    )
    assert not any("pip" in run for run in of(final, "RUN"))
    assert of(final, "COPY") == ["--from=build /opt/router /opt/router"]


def test_it_does_not_run_as_root() -> None:
    user = only("USER")
    assert int(user) > 0
    assert any(f"--uid {user}" in run for run in of(STAGES[-1], "RUN"))


def test_only_var_has_to_be_writable() -> None:
    assert only("VOLUME") == only("WORKDIR") + "/var"
    assert "PYTHONDONTWRITEBYTECODE=1" in only("ENV")


def test_the_standard_library_is_compiled_before_nobody_may_write_it() -> None:
    """Python's own image has none of it compiled; a health check took four times the CPU for that."""
    names = [name for name, _ in STAGES[-1]]
    (compiling,) = (run for run in of(STAGES[-1], "RUN") if "compileall" in run)
    assert 'sysconfig.get_path("stdlib")' in compiling
    assert names.index("RUN") < names.index("USER")


def test_what_builds_the_wheel_is_there_and_must_compile_it() -> None:
    """An image that is not compiled takes twice the CPU, and would say so only when somebody asks."""
    (installing,) = (run for run in of(STAGES[0], "RUN") if "constraints.txt" in run)
    assert installing.startswith("ROUTER_COMPILE=1 ")
    assert any("install" in run and "gcc" in run for run in of(STAGES[0], "RUN"))
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["build-backend"]
    copied = " ".join(of(STAGES[0], "COPY")).split()
    assert {f"{backend}.py", "setup.py"} <= set(copied)


def test_the_extras_that_can_be_asked_for_exist() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (named,) = re.findall(r"--build-arg EXTRAS=(\S+)", text)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(named.split(",")) <= set(extras)
    assert of(STAGES[0], "ARG") == ["EXTRAS="], "none, unless they are asked for"
    assert any('".${EXTRAS:+[$EXTRAS]}"' in run for run in of(STAGES[0], "RUN"))


def test_the_controller_is_process_1_and_gets_sigterm() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["router"]
    assert json.loads(only("CMD"))[0] == "serve"
    assert only("STOPSIGNAL") == "SIGTERM"


def test_its_health_is_what_readyz_says() -> None:
    assert only("HEALTHCHECK").endswith('CMD ["router", "healthcheck"]')


def test_what_the_build_copies_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*", "only what is named gets into the build"
    for copied in of(STAGES[0], "COPY"):
        for source in copied.split()[:-1]:
            name = source.removeprefix("./")
            assert f"!{name}" in ignored
            assert (ROOT / name).exists()


def test_every_pin_is_exact_and_names_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line)


def test_the_direct_dependencies_are_pinned_alike() -> None:
    pins = set((ROOT / "constraints.txt").read_text().splitlines())
    project = (ROOT / "pyproject.toml").read_text()
    direct = re.findall(r'"([A-Za-z0-9._-]+==[^"]+)"', project)
    assert len(direct) > 15
    assert set(direct) <= pins

"""The pages and the program say the same: metrics, errors, limits, commands, the phase diagram, the assignment.

That the configurations in the pages load is checked in test_structure, with all other YAML.
"""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import CounterMetricFamily

import router
from router.cli import COMMANDS
from router.cli.pairs import pairs
from router.config.limits import ClientLimitsSpec, DeploymentLimitsSpec, RetriesSpec
from router.config.schema import TimeoutsSpec
from router.dataplane.faults import Fault
from router.patterns.assignment import bucket, salt_of
from router.rollout.phase import Phase, diagram
from router.shares import SHARE_PARTS, share_parts
from router.spec import parse_duration, parse_share, parse_size
from router.telemetry.exposition import ControlFacts, Exposition, FleetFacts
from router.telemetry.ledger import Ledger

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
BEHAVIOUR = TEXTS["docs/behaviour.md"]

FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level, up to the next one."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows whose first cell is not empty and no rule."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    return [row for row in cells if row[0] and set(row[0]) != {"-"}]


def blocks(text: str, language: str) -> list[str]:
    return [block for found, block in FENCED.findall(text) if found == language]


def anchors(text: str) -> set[str]:
    """The anchors that the page's headings get."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Links


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for target in LINK.findall(FENCED.sub("", TEXTS[page])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page}: {target}"


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(TEXTS["README.md"])}
    assert {page for page in TEXTS if page != "README.md"} <= linked


# The phase table


def test_the_phase_diagram_is_that_of_the_table() -> None:
    assert blocks(TEXTS["docs/architecture.md"], "mermaid") == [diagram()]


def test_every_phase_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows(section(BEHAVIOUR, "Rollouts"))]
    assert explained == ["phase", *Phase]


# The code


def test_the_files_that_the_architecture_names_exist() -> None:
    text = TEXTS["docs/architecture.md"]
    known = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("router/**/*.py"), *ROOT.glob("tests/**/*.py")]
    }
    for named in re.findall(r"[\w/]+\.py\b", text):
        assert any(path == named or path.endswith(f"/{named}") for path in known), named


# Commands


def commands_in(text: str) -> set[str]:
    """What follows `router` where it stands as a command: in a code block, or in backticks."""
    code = (
        "\n".join(block for _, block in FENCED.findall(text))
        + "\n"
        + "\n".join(re.findall(r"`([^`\n]+)`", FENCED.sub("", text)))
    )
    return set(re.findall(r"(?:^|/|\$ )router ([a-z][a-z-]*)\b", code, re.MULTILINE))


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_named_exists(page: str) -> None:
    assert commands_in(TEXTS[page]) - {"COMMAND"} <= COMMANDS.keys()


def test_commands_are_found_in_code_and_only_there() -> None:
    text = "the router serves\n```sh\n.venv/bin/router serve x\n$ router status\n```\nand `router pause loan`"
    assert commands_in(text) == {"serve", "status", "pause"}


def test_the_readme_names_every_command() -> None:
    readme = TEXTS["README.md"]
    shown = {name for name, entry in COMMANDS.items() if entry.section} - {"pairs"}
    assert {name for name in shown - commands_in(readme) if f"`{name}`" not in readme} == set()
    (listed,) = re.findall(r"`pairs ([a-z]+\|[a-z|]+)`", readme)
    assert set(listed.split("|")) == pairs.commands.keys()


# Metrics


class _Facts:
    def facts(self) -> ControlFacts:
        return ControlFacts()


class _Fleet:
    def facts(self) -> FleetFacts:
        return FleetFacts()


def exposed() -> dict[str, tuple[str, ...]]:
    """Every metric by the name that a query uses, with its labels."""
    exposition = Exposition(Ledger(), _Facts(), _Fleet(), tuple(Phase))
    found: dict[str, tuple[str, ...]] = {}
    for family in exposition.collect():
        suffix = "_total" if isinstance(family, CounterMetricFamily) else ""
        labels: Any = getattr(family, "_labelnames", ())
        found[family.name + suffix] = tuple(labels)
    return found


def test_the_metrics_listed_are_those_exposed() -> None:
    listed = {
        row[0].strip("`"): tuple(filter(None, row[1].split(", ")))
        for row in rows(section(BEHAVIOUR, "Metrics"))
    }
    listed.pop("metric")
    assert listed == exposed()


@pytest.mark.parametrize("page", TEXTS)
def test_every_metric_named_exists(page: str) -> None:
    assert set(re.findall(r"\brouter_[a-z_]+\b", TEXTS[page])) <= exposed().keys()


# Errors


def test_the_errors_listed_are_the_faults() -> None:
    listed = [
        (row[0].strip("`"), int(row[1])) for row in rows(section(BEHAVIOUR, "Errors")) if row[1].isdigit()
    ]
    assert sorted(listed) == sorted((fault.code, fault.status) for fault in Fault)


# Limits


CONSTANT = re.compile(r"`(router\.[\w.]+)`")
LIMITS = [
    (row[1], found[1])
    for row in rows(section(BEHAVIOUR, "Limits"))
    if len(row) > 2 and (found := CONSTANT.fullmatch(row[2])) is not None
]
KEYS = [
    (path.strip(" `"), default.partition(" ±")[0].strip())
    for row in rows(section(BEHAVIOUR, "Limits"))
    if row[0].startswith("`")
    for path, default in zip(row[0].split(" of ")[0].split(","), row[1].split(","), strict=True)
]


def value(text: str) -> float:
    """A limit as the page writes it: bytes, seconds, or a plain number."""
    for parse in (parse_size, parse_duration):
        try:
            return parse(text)
        except ValueError:
            pass
    return float(text)


@pytest.mark.parametrize(("limit", "constant"), LIMITS)
def test_the_limits_listed_are_those_of_the_code(limit: str, constant: str) -> None:
    module, _, name = constant.rpartition(".")
    assert value(limit) == getattr(importlib.import_module(module), name)


def default_of(key: str) -> Any:
    """What the YAML means where a key is not given: of a client, else of a deployment."""
    section_name, name = key.split(".")
    owner = {"limits": ClientLimitsSpec(), "timeouts": TimeoutsSpec(), "retries": RetriesSpec()}[section_name]
    return getattr(owner if name in type(owner).model_fields else DeploymentLimitsSpec(), name)


@pytest.mark.parametrize(("key", "written"), [(key, text) for key, text in KEYS if "." in key])
def test_the_defaults_of_limits_listed_are_those_of_the_code(key: str, written: str) -> None:
    if written in ("none", "see below"):
        assert default_of(key) is None
    elif "%" in written:
        assert default_of(key) == share_parts(parse_share(written)) / SHARE_PARTS
    else:
        assert value(written) == default_of(key)


def test_every_limit_of_clients_is_listed() -> None:
    assert {f"limits.{name}" for name in ClientLimitsSpec.model_fields} <= {key for key, _ in KEYS}


def test_limits_are_found_and_understood() -> None:
    assert len(LIMITS) > 20
    assert [value(text) for text in ("64KiB", "10s", "200")] == [65536, 10, 200]


# The assignment, for those who recompute it


def test_the_assignment_printed_is_the_one_used() -> None:
    scope: dict[str, Any] = {}
    (source,) = blocks(section(BEHAVIOUR, "Assignment"), "python")
    exec(source, scope)  # it is ours, and has to do what it says
    for share in (0.0, 0.0001, 0.05, 0.29, 1.0):
        for key in (b"", b"alice", "zoë".encode(), *(b"user-%d" % number for number in range(200))):
            drawn = bucket(salt_of("loan", "v2"), key) < share_parts(share)
            assert scope["assigned"]("loan", "v1", "v2", share, key) == ("v2" if drawn else "v1")


# Versions and packages


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{router.__version__}]" in TEXTS["CHANGELOG.md"]


def test_every_direct_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = TEXTS["docs/dependencies.md"]
    for title, packages in (
        ("What runs", project["dependencies"]),
        ("What tests", project["optional-dependencies"]["test"]),
    ):
        listed = {name for row in rows(section(page, title)) for name in row[0].split(", ")} - {"package"}
        assert listed == {package.partition("==")[0] for package in packages}

"""The architecture, held by force: floors, cycles, sizes, docstrings, tests for all, YAML that loads.

The rules are functions of parsed source, so that each is shown here to catch what it is for.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from router.config.loader import load

ROOT = Path(__file__).parents[2]

FLOORS = {
    "shares": 0, "spec": 0, "errors": 0, "logs": 0, "signals": 0,
    "channel": 1, "http1": 1, "telemetry": 1, "tls": 1,
    "patterns": 2, "rollout": 2, "pairs": 2,
    "config": 3,
    "dataplane": 4, "control": 4,
    "worker": 5, "recorder": 5, "serve": 5, "demo": 5, "replay": 5,
    "cli": 6,
}  # fmt: skip
"""The parts of `router` by name; docs/architecture.md draws them. Imports point down only."""

NEIGHBOURS = {("telemetry", "channel"), ("spec", "shares")}
"""Parts of one floor where one may know the other: counts are declared as the frames that carry them, and what people
write of a share is a whole number of parts."""

NO_ASYNCIO = ("http1", "patterns", "rollout", "config")
WATCHES_FILES = {"router.config.loader", "router.config.watch"}

MAX_LINES = 450

TESTED_ELSEWHERE = {
    "router.demo.run": "run as people run it, in tests/integration/test_demo.py",
}
"""Modules without a test file of their own, and why."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted((ROOT / "router").rglob("*.py"))}


@cache
def trees() -> dict[str, ast.Module]:
    """Every module parsed, once and only where one of these tests runs: collecting them is everybody's time."""
    return {name: ast.parse(path.read_text(), str(path)) for name, path in SOURCES.items()}


def imported(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Names of the modules a source imports; `from package import module` counts as the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules else node.module


def at_run_time(tree: ast.Module) -> ast.Module:
    """The source without what stands below `if TYPE_CHECKING:`: naming a type makes no cycle."""

    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(kept, tree.type_ignores)


def part_of(module: str) -> str:
    """`router.http1.head` belongs to http1; the package `router` itself to no part."""
    return module.split(".")[1] if "." in module else ""


def floor_breach(importer: str, imported_module: str) -> str:
    """What is wrong with that import, or nothing."""
    if not imported_module.startswith("router."):
        return ""
    above, below = part_of(importer), part_of(imported_module)
    if above == below or (above, below) in NEIGHBOURS:
        return ""
    if above and FLOORS[below] >= FLOORS[above]:
        return f"{importer} (floor {FLOORS[above]}) imports {imported_module} (floor {FLOORS[below]})"
    return ""


def asyncio_breach(importer: str, imported_module: str) -> str:
    if part_of(importer) not in NO_ASYNCIO or importer in WATCHES_FILES:
        return ""
    return f"{importer} imports asyncio" if imported_module.partition(".")[0] == "asyncio" else ""


def import_cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One cycle for each way back to a module that is still being imported."""
    done: set[str] = set()
    found: list[list[str]] = []

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            found.append([*trail[trail.index(module) :], module])
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def global_statements(tree: ast.Module) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]


def lacks_docstring(tree: ast.Module) -> bool:
    return bool(tree.body) and ast.get_docstring(tree) is None


def has_logic(tree: ast.Module) -> bool:
    """Whether a function in it does something; models, constants and protocols are tested by their users."""
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return any(not _says_only(statement) for function in functions for statement in function.body)


def _says_only(statement: ast.stmt) -> bool:
    """A docstring or `...`."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_names(module: str) -> set[str]:
    """How the test file of `router.pairs.joining` may be called: test_joining.py or test_pairs_joining.py."""
    *_, package, name = module.split(".")
    return {f"test_{name}.py", f"test_{package}_{name}.py"}


test_names.__test__ = False  # type: ignore[attr-defined]

ImportRule = Callable[[str, str], str]


@pytest.mark.parametrize("rule", [floor_breach, asyncio_breach])
def test_imports_keep_the_rules(rule: ImportRule) -> None:
    known = set(SOURCES)
    breaches = {rule(module, target) for module, tree in trees().items() for target in imported(tree, known)}
    assert sorted(breaches - {""}) == []


@pytest.mark.parametrize(
    ("rule", "importer", "target", "wrong"),
    [
        (floor_breach, "router.http1.head", "router.config.schema", True),
        (floor_breach, "router.dataplane.pool", "router.control.probes", True),
        (floor_breach, "router.control.probes", "router.dataplane.pool", True),
        (floor_breach, "router.pairs.pair", "router.patterns.plan", True),
        (floor_breach, "router.worker", "router.recorder", True),
        (floor_breach, "router.errors", "router.spec", True),
        (floor_breach, "router.channel", "router.telemetry.counters", True),
        (floor_breach, "router.telemetry.counters", "router.channel", False),
        (floor_breach, "router.config.schema", "router.patterns", False),
        (floor_breach, "router.patterns.canary", "router.patterns.plan", False),
        (floor_breach, "router.http1.head", "dataclasses", False),
        (asyncio_breach, "router.http1.parser", "asyncio", True),
        (asyncio_breach, "router.rollout.ramp", "asyncio.events", True),
        (asyncio_breach, "router.dataplane.pool", "asyncio", False),
        (asyncio_breach, "router.config.loader", "asyncio", False),
    ],
)
def test_the_import_rules_tell_right_from_wrong(
    rule: ImportRule, importer: str, target: str, wrong: bool
) -> None:
    assert bool(rule(importer, target)) is wrong


def test_every_part_has_a_floor() -> None:
    assert {part_of(module) for module in SOURCES} - {""} <= FLOORS.keys()


def test_imports_make_no_cycle() -> None:
    known = set(SOURCES)
    graph = {module: set(imported(at_run_time(tree), known)) & known for module, tree in trees().items()}
    assert import_cycles(graph) == []


def test_a_cycle_is_found() -> None:
    assert import_cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]
    assert import_cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_for_the_type_checker_make_no_cycle_but_keep_the_floors() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import router.cli\nimport router.spec")
    assert list(imported(at_run_time(tree), set())) == ["router.spec"]
    assert list(imported(tree, set())) == ["router.spec", "router.cli"]


def test_no_module_assigns_globals() -> None:
    found = [f"{module}:{line}" for module, tree in trees().items() for line in global_statements(tree)]
    assert found == []
    assert global_statements(ast.parse("def f():\n    global x\n    x = 1")) == [2]


def test_modules_are_short_enough_to_read() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in SOURCES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    assert [module for module, tree in trees().items() if lacks_docstring(tree)] == []
    assert lacks_docstring(ast.parse("x = 1"))
    assert not lacks_docstring(ast.parse(""))


def test_every_module_with_logic_has_a_test_file() -> None:
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    with_logic = {module for module, tree in trees().items() if has_logic(tree) and "." in module}
    untested = {module for module in with_logic if not test_names(module) & tests}
    assert sorted(untested - TESTED_ELSEWHERE.keys()) == []
    assert sorted(TESTED_ELSEWHERE.keys() - untested) == [], "listed, but they have a test file or are gone"


def test_what_counts_as_logic() -> None:
    assert has_logic(ast.parse("def f():\n    'says'\n    return 1"))
    assert not has_logic(
        ast.parse("class P(Protocol):\n    def f(self): ...\n    def g(self):\n        'says'")
    )


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


CONFIGS = sorted([*(ROOT / "configs").glob("*.yaml"), *(ROOT / "router/demo").glob("*.yaml")])
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documented_configs() -> list[tuple[str, str]]:
    """Every YAML block of the documentation that is a whole configuration, with its place."""
    return [
        (f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}", block[1])
        for page in PAGES
        if page.exists()
        for text in [page.read_text()]
        for block in BLOCK.finditer(text)
        if re.search(r"^deployments:", block[1], re.MULTILINE)
    ]


def environment_for(text: str) -> dict[str, str]:
    """A value for each variable the text has no default for."""
    return dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "0123456789abcdef")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_loads(path: Path) -> None:
    assert load(path, environment_for(path.read_text())).config.deployments


def test_every_config_in_the_documentation_loads(tmp_path: Path) -> None:
    for place, text in documented_configs():
        path = tmp_path / f"{place.replace(':', '-')}.yaml"
        path.write_text(text)
        assert load(path, environment_for(text)).config.deployments, place

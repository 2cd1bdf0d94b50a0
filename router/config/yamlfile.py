"""One YAML file to plain values, with the line where each one stands.

Floor 3. Knows YAML and `${VARIABLES}`, nothing of what the keys mean. YAML 1.2: `on`, `NO` and `1:30` are
text. The tree of nodes is walked here instead of building ruamel's own types, so that every key and value has
its line, all keys given twice are found at once, and aliases stay bounded.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from router.config.places import Place, Steps, dotted
from router.errors import ConfigError, Problem

MAX_VALUES = 100_000
"""Values in one file, aliases counted each time they are used: what a small file may unfold to."""

_VARIABLE = re.compile(r"\$(?P<escaped>\$)?\{(?:(?P<name>[A-Za-z_]\w*)(?P<default>:-[^}]*)?\})?", re.ASCII)
_HALF = re.compile("[\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_NO_TEXT = "this is no text: half a character, or a variable that is not UTF-8"


class _TooLarge(Exception):
    """More than MAX_VALUES values."""


class YamlFile:
    """One file: its values, their places, the problems met and the variables used."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.places: dict[Steps, Place] = {}
        self.problems: list[Problem] = []
        self.variables: dict[str, str | None] = {}
        self._file = file
        self._environ = environ
        self._yaml = YAML(typ="safe", pure=True)  # "rt" keeps comments, and trips over some
        self._budget = MAX_VALUES
        self._open: set[int] = set()

    def read(self, data: bytes) -> dict[str, Any]:
        """The mapping in `data`; mistakes within go to `problems`. Raises ConfigError where there is none."""
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self._refusal(line, "the file is not UTF-8", f"byte 0x{data[error.start]:02X}") from None
        try:
            return self._document(self._yaml.compose(text))
        except MarkedYAMLError as error:
            raise self._syntax_error(error, text) from None
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self._refusal(
                line, "YAML does not allow this character", f"code {error.character:#04x}"
            ) from None
        except YAMLError as error:
            raise self._refusal(0, f"not YAML: {error}") from None
        except (RecursionError, _TooLarge):
            raise self._refusal(
                0, f"nested too deeply, or more than {MAX_VALUES} values with its aliases"
            ) from None

    def _document(self, node: Node | None) -> dict[str, Any]:
        if node is None or (isinstance(node, ScalarNode) and not node.value):
            # On purpose in a directory, too: a file caught half written must not take deployments away.
            raise self._refusal(1, "the file is empty", fix="describe at least `deployments`")
        if not isinstance(node, MappingNode):
            found = "a list" if isinstance(node, SequenceNode) else "plain text"
            raise self._refusal(_line(node), "the file must be a mapping, `key: value` in each line", found)
        self._open.add(id(node))
        return self._mapping(node, ())

    def _refusal(self, line: int, rule: str, found: str = "", fix: str = "") -> ConfigError:
        return ConfigError([Problem(self._file, line, "", rule, found, fix)])

    def _syntax_error(self, error: MarkedYAMLError, text: str) -> ConfigError:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        what = " ".join(part for part in (error.context, error.problem) if part)
        fix = ""
        if "'\\t'" in what:
            what, fix = "a tab where YAML wants spaces", "indent with spaces"
        elif "undefined alias" in what:
            # Its name is not said: where somebody forgot the quotes it is the beginning of a secret.
            what, fix = (
                "an alias for something that has no name here",
                "put text that begins with * in quotes",
            )
        elif "another document" in what:
            what, fix = "more than one document in the file", "one file holds one document: remove the ---"
        elif "mapping values are not allowed" in what:
            fix = "check the indentation, and put text that holds `: ` in quotes"
        elif "${" in "".join(text.splitlines()[line - 1 : line]):
            fix = "inside { } and [ ] a variable stands in quotes"
        return self._refusal(line, f"not YAML: {what}", fix=fix)

    def _note(self, steps: Steps, rule: str, found: str = "", fix: str = "", line: int = 0) -> None:
        """Takes down a mistake in `line`, or where this place is."""
        if not line:
            line = self.places[steps].line if steps in self.places else 1
        self.problems.append(Problem(self._file, line, dotted(steps), rule, found, fix))

    def _value(self, node: Node, steps: Steps) -> Any:
        self._budget -= 1
        if self._budget < 0:
            raise _TooLarge
        if isinstance(node, ScalarNode):
            return self._scalar(node, steps)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self._note(steps, "tags are not used here", found=str(node.tag), fix="remove the tag")
        if id(node) in self._open:
            self._note(steps, "an alias that stands for something it is part of")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, steps)
            return [self._item(child, (*steps, index)) for index, child in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _item(self, node: Node, steps: Steps) -> Any:
        self.places[steps] = Place(self._file, _line(node))
        return self._value(node, steps)

    def _mapping(self, node: MappingNode, steps: Steps) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key, child in node.value:
            if key.tag == _MERGE:
                merged += child.value if isinstance(child, SequenceNode) else [child]
            elif not isinstance(key, ScalarNode):
                self._note(steps, "a key is a single word, not a list or mapping", line=_line(key))
            elif _HALF.search(key.value):
                self._note(steps, _NO_TEXT, line=_line(key))
            elif key.value in values:
                rule = f"the key is given twice, first in line {lines[key.value]}"
                self._note((*steps, key.value), rule, fix="remove one of the two", line=_line(key))
            else:
                lines[key.value] = _line(key)
                self.places[*steps, key.value] = Place(self._file, _line(key))
                values[key.value] = self._value(child, (*steps, key.value))
        return self._with_merged(values, merged, steps)

    def _with_merged(self, values: dict[str, Any], merged: list[Node], steps: Steps) -> dict[str, Any]:
        """`values` and, for the keys they lack, those of the mappings named by `<<`."""
        for node in merged:
            own = dict(self.places)
            others = self._value(node, steps)
            self.places |= own
            if isinstance(others, dict):
                values = {**others, **values}
            elif others is not None:
                self._note(steps, "<< takes the alias of a mapping", line=_line(node))
        return values

    def _scalar(self, node: ScalarNode, steps: Steps) -> Any:
        tag, text = node.tag, node.value
        if "${" in text:
            alone = _VARIABLE.fullmatch(text)
            text = _VARIABLE.sub(lambda match: self._variable(match, steps), text)
            if alone and not node.style:
                # Read again, so that `workers: ${N}` is a number; what is quoted stays text.
                tag = self._yaml.resolver.resolve(ScalarNode, text, (True, False))
        if _HALF.search(text):
            self._note(steps, _NO_TEXT)
            return ""
        try:
            return _SCALARS[str(tag)](text)
        except KeyError:
            self._note(steps, "tags are not used here", found=str(tag), fix="remove the tag")
        except ValueError:
            self._note(steps, f"this is no {str(tag).removeprefix(_TAG)}")
        return text

    def _variable(self, match: re.Match[str], steps: Steps) -> str:
        name, default = match["name"], match["default"]
        if match["escaped"]:
            return match[0][1:]
        if name is None:
            fix = "write ${NAME} or ${NAME:-default}, and $${ where the text itself is meant"
            self._note(steps, "${ begins a variable", fix=fix)
            return match[0]
        value = self.variables[name] = self._environ.get(name)
        if default is not None:
            return value or default[2:]
        if value is None:
            rule = f"the environment variable {name} is not set"
            self._note(steps, rule, fix=f"set it, or give a default: ${{{name}:-default}}")
            return match[0]
        return value


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if digits.lstrip("+-")[:2].lower() in ("0x", "0o") else int(digits)


def _float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "str": str,
    _TAG + "null": lambda _: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _integer,
    _TAG + "float": _float,
    _TAG + "timestamp": str,
}


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1

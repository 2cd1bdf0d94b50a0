"""What the schema refuses, said so that a person can mend it.

Floor 3. pydantic reports by model and union branch; here each error becomes one Problem at the line and path
of the YAML, with what stood there, what is allowed and, where one is near, the right word.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from router.config.keys import Keys
from router.config.places import Steps, child_of
from router.config.source import Source
from router.errors import Problem

_RULES = {
    "missing": "this key is required",
    "extra_forbidden": "unknown key",
    "string_type": "must be text",
    "string_unicode": "must be text, without halves of surrogate pairs",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping, `key: value`",
    "model_type": "must be a mapping, `key: value`",
    "model_attributes_type": "must be a mapping, `key: value`",
    "too_short": "must not be empty",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
}
_MAPPING_TYPES = ("model_type", "model_attributes_type")
_SHOWN_ADMIN_KEYS = ("listen", "name", "role")
_CREDENTIALS = re.compile(r"(?<=://)\S*@")  # up to the last: a password may hold anything
_QUERY = re.compile(r"(?<=://)(\S*?\?)\S+")


def closest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for the one of the known words that is near, or nothing."""
    near = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return _did_you_mean(near[0]) if near else ""


def nearest(word: str, known: Sequence[str]) -> str:
    """The closest known word, or all of them where none is near."""
    return closest(word, known) or (f"known here: {', '.join(known)}" if known else "")


def _did_you_mean(word: str) -> str:
    return f"did you mean `{word}`?"


def shown(value: Any, steps: Steps) -> str:
    """The value as an error may show it: short, without secrets."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if _is_secret(steps):
        return "a value that is not shown"
    if isinstance(value, bool):
        return str(value).lower()
    text = _QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", str(value)))
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"`{text}`"


def _is_secret(steps: Steps) -> bool:
    """Tokens, passwords and keys; headers of calls to others; the URL of a chat service."""
    calls = steps[:1] in (("notify",), ("tracing",)) or steps[:2] == ("pairs", "sinks")
    calls = calls or "webhook" in steps or "prometheus" in steps
    return (
        (steps[:1] == ("admin",) and steps[-1] not in _SHOWN_ADMIN_KEYS)
        or (calls and ("headers" in steps or steps[-1] == "password"))
        or (steps[:1] == ("notify",) and steps[-1] == "url")
        or steps[-2:] == ("hash", "key")
        or steps[-2:] == ("pairs", "hash")
    )


def explain(error: ValidationError, source: Source, schema: dict[str, Any]) -> list[Problem]:
    """One Problem for each place of the YAML `error` speaks of; `schema` is the JSON schema of Config."""
    keys = Keys(schema, source.values)
    details = error.errors(include_url=False)
    placed = [(_place(item, source.values), item) for item in details if not _follows_from_another(item)]
    said: dict[Steps, list[Problem]] = {}
    for steps, item in placed:
        if not _other_form(steps, item, placed):
            said.setdefault(steps, []).append(_say(steps, item, source, keys))
    return _without_misspelt([_together(problems) for problems in said.values()])


def _together(problems: list[Problem]) -> Problem:
    """What several branches of a union say about one place."""
    first, *others = problems
    alternatives = dict.fromkeys(problem.rule.removeprefix("must be ") for problem in others)
    return replace(first, rule=", or ".join([first.rule, *alternatives]))


def _follows_from_another(item: ErrorDetails) -> bool:
    """A list is not too short when its items were only refused."""
    return item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]


def _other_form(steps: Steps, item: ErrorDetails, placed: list[tuple[Steps, ErrorDetails]]) -> bool:
    """Whether this is only the complaint that a mapping, which has its own errors, is not the one word that
    could stand there instead."""
    if item["type"] != "literal_error" or not isinstance(item["input"], dict):
        return False
    return any(other[: len(steps)] == steps for other, that in placed if that is not item)


def _without_misspelt(problems: list[Problem]) -> list[Problem]:
    """A misspelt key is one mistake: that the right one is missing goes without saying."""
    unknown = {
        (problem.path.rpartition(".")[0], problem.fix)
        for problem in problems
        if problem.rule == _RULES["extra_forbidden"]
    }

    def follows(problem: Problem) -> bool:
        parent, _, key = problem.path.rpartition(".")
        return problem.rule == _RULES["missing"] and (parent, _did_you_mean(key)) in unknown

    return [problem for problem in problems if not follows(problem)]


def _place(item: ErrorDetails, values: Any) -> Steps:
    *before, last = item["loc"] or ("",)
    if item["type"] == "missing":
        return (*_steps(before, values), last)
    return _steps(item["loc"], values)


def _steps(loc: Sequence[int | str], values: Any) -> Steps:
    """The place in the YAML: `loc` without what pydantic adds, which are union branches, `[key]`, and the
    positions in a list that the YAML may leave out."""
    steps: list[str | int] = []
    branch_taken = False
    for part in loc:
        known, inside = child_of(values, part)
        if isinstance(values, dict) and part == values.get("pattern") and not branch_taken:
            branch_taken = True
        elif known:
            steps.append(part)
            values, branch_taken = inside, False
    return tuple(steps)


def _say(steps: Steps, item: ErrorDetails, source: Source, keys: Keys) -> Problem:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind.startswith("union_tag"):
        return _say_kind(steps, kind, context, source, keys)
    if kind == "missing":
        return source.problem(steps, _RULES[kind])
    if kind == "extra_forbidden":
        word = str(steps[-1])
        return source.problem(steps, _RULES[kind], f"`{word}`", nearest(word, keys.at(steps[:-1])))
    found = shown(value, steps)
    if kind == "literal_error":
        return _say_literal(steps, found, value, context["expected"], source)
    if kind == "value_error":
        rule = str(context["error"])
        told = "" if isinstance(value, dict | list) else found
        return source.problem(steps, rule, told)
    rule = _RULES[kind].format(**context) if kind in _RULES else item["msg"]
    if context.get("pattern") == "^/":
        rule = "must begin with /"
    return source.problem(steps, rule, found, _fix_type(kind, found, keys.at(steps)))


def _fix_type(kind: str, found: str, known: list[str]) -> str:
    if kind == "string_type" and found.startswith("`"):
        return f'write "{found[1:-1]}", in quotes'
    if kind == "tuple_type" and found.startswith("`"):
        return f"write [{found[1:-1]}]"
    if kind in _MAPPING_TYPES and known:
        return f"known here: {', '.join(known)}"
    return ""


def _say_literal(steps: Steps, found: str, value: Any, expected: str, source: Source) -> Problem:
    words = re.findall(r"'([^']*)'", expected) or [expected.lower()]
    rule = f"must be {words[0]}" if len(words) == 1 else f"must be one of {', '.join(words)}"
    return source.problem(steps, rule, found, closest(value, words) if isinstance(value, str) else "")


def _say_kind(steps: Steps, kind: str, context: dict[str, Any], source: Source, keys: Keys) -> Problem:
    """A union told apart by a key (`pattern: canary`) or by the one key there is (`json: {…}`)."""
    key = context["discriminator"].strip("'")
    choices = keys.choices(steps)
    if kind == "union_tag_not_found":
        written = get_close_matches(key, [str(name) for name in source.value(steps)], n=1)
        fix = f"write `{key}` for `{written[0]}`" if written else ""
        rule = f"this key is required, one of {', '.join(choices)}"
        return source.problem((*steps, key), rule, fix=fix)
    tag = context["tag"]
    place = (*steps, key if key == "pattern" else tag)
    rule = f"must be one of {', '.join(choices)}"
    return source.problem(place, rule, f"`{tag}`", closest(tag, choices))

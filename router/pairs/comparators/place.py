"""The one place in an answer that a comparator looks at, in both sides, redacted or not."""

from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from router.pairs.content import Content
from router.pairs.pointer import Pointer, split
from router.pairs.values import ABSENT, Hidden


def _one_place(pointer: str) -> str:
    if "*" in split(pointer):
        raise ValueError(
            f"{pointer!r} names many places, and this comparator looks at one: name it without *"
        )
    return pointer


OnePlace = Annotated[Pointer, AfterValidator(_one_place)]
"""A pointer without `*`. In lists of things with a `name`, such as V2 `outputs`, a name is as good as a position."""


class Found(NamedTuple):
    """What stands at a place: `value` (ABSENT where nothing does) with nothing hidden in it, what it is part of,
    and whether any of it is `secret`, so that it must not be told."""

    value: Any
    parent: Any
    secret: bool


def find(content: Content, segments: tuple[str, ...]) -> Found:
    """What stands there in a body."""
    parent, node, secret = None, content.value, False
    for segment in segments:
        if type(node) is Hidden:
            node, secret = node.value, True
        parent, node = node, _step(node, segment)
    if content.exposed:  # redaction has not touched it, so that a large tensor need not be searched
        return Found(node, parent, False)
    value, hidden = unveil(node)
    return Found(value, parent, secret or hidden)


def find_both(primary: Content, shadow: Content, segments: tuple[str, ...]) -> tuple[Found, Found]:
    """What stands there in both. A position among V2 `outputs` is the primary's; the shadow's is of that name."""
    return find(primary, segments), find(shadow, _by_name(primary.value, segments))


def _by_name(document: Any, segments: tuple[str, ...]) -> tuple[str, ...]:
    """The segments with the name of a V2 output for its position."""
    if len(segments) < 2 or segments[0] != "outputs" or not isinstance(document, dict):
        return segments
    name = _name_of(_step(document.get("outputs"), segments[1]))
    # A name of digits would be taken for a position.
    return segments if name is None or name.isdigit() else ("outputs", name, *segments[2:])


def unveil(node: Any) -> tuple[Any, bool]:
    """The value with nothing hidden in it, and whether something was."""
    if type(node) is Hidden:
        return unveil(node.value)[0], True
    if isinstance(node, list):
        pairs = [unveil(member) for member in node]
        return (node, False) if not any(hid for _, hid in pairs) else ([member for member, _ in pairs], True)
    if isinstance(node, dict):
        found = {key: unveil(member) for key, member in node.items()}
        if any(hid for _, hid in found.values()):
            return {key: member for key, (member, _) in found.items()}, True
    return node, False


def _step(node: Any, segment: str) -> Any:
    if isinstance(node, dict):
        return node.get(segment, ABSENT)
    if not isinstance(node, list):
        return ABSENT
    if segment.isascii() and segment.isdigit() and len(segment) < 10:
        return node[int(segment)] if int(segment) < len(node) else ABSENT
    return next((member for member in node if _name_of(member) == segment), ABSENT)


def _name_of(member: Any) -> str | None:
    name = member.get("name") if isinstance(member, dict) else None
    return name if isinstance(name, str) else None

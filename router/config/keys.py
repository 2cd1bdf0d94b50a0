"""Which keys may stand at a place of the YAML, as the JSON schema of the configuration says. Floor 3."""

from collections.abc import Iterator
from typing import Any

from router.config.places import Steps, child_of


class Keys:
    """The keys known to `schema`; `values` is the YAML, which says which branch of a union is meant."""

    def __init__(self, schema: dict[str, Any], values: Any) -> None:
        self._schema = schema
        self._values = values

    def at(self, steps: Steps) -> list[str]:
        """The keys a mapping at this place may have."""
        names: dict[str, None] = {}
        for schema in self._schemas(steps):
            names |= dict.fromkeys(schema.get("properties", ()))
        return list(names)

    def choices(self, steps: Steps) -> list[str]:
        """The names that tell the branches of the union at this place apart."""
        for schema in self._schemas(steps):
            if "discriminator" in schema:
                return list(schema["discriminator"]["mapping"])
        return self.at(steps)

    def _schemas(self, steps: Steps) -> list[dict[str, Any]]:
        value = self._values
        schemas = list(self._unfold(self._schema, value))
        for step in steps:
            _, value = child_of(value, step)
            schemas = [
                unfolded
                for schema in schemas
                for child in _children(schema, step)
                for unfolded in self._unfold(child, value)
            ]
        return schemas

    def _unfold(self, schema: dict[str, Any], value: Any) -> Iterator[dict[str, Any]]:
        """The schema without references and unions; of a union told apart by a key, the branch that fits."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._unfold(self._schema["$defs"][name], value)
            return
        yield schema
        branches = schema.get("anyOf", []) + schema.get("oneOf", [])
        told_apart = schema.get("discriminator")
        if told_apart and isinstance(value, dict):
            fits = told_apart["mapping"].get(value.get(told_apart["propertyName"]))
            branches = [{"$ref": fits}] if fits else branches
        for branch in branches:
            yield from self._unfold(branch, value)


def _children(schema: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(step, int):
        if "items" in schema:
            yield schema["items"]
        return
    if step in schema.get("properties", {}):
        yield schema["properties"][step]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]

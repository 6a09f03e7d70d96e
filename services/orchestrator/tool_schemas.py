"""JSON schemas of tools, tamed: local, small, and safe to validate with on the event loop.

They come from admins and from other people's servers. A remote `$ref` would make the validator fetch an address, and a
pattern can take a regular expression engine for ever; neither survives.
"""

import re
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 200
DEEPEST = 8
MOST_PROPERTIES = 64
_DROPPED = frozenset({"$schema", "$id", "$defs", "definitions", "$ref", "$dynamicRef", "$anchor", "if", "then", "else"})
_DROPPED |= {"patternProperties", "not", "dependentSchemas", "unevaluatedProperties", "contains"}
_LISTS = ("anyOf", "oneOf", "allOf")
# A group that repeats inside, repeated again; or a back reference or look-around: what backtracks without end.
_EXPLOSIVE = re.compile(r"\([^)]*[*+}][^)]*\)\s*[*+{]|\\[1-9]|\(\?[=!<]|\|[^)]*\)\s*[*+{]")


class UnusableSchema(Exception):
    """The schema is no description of named arguments; the message says why."""


def tamed(schema: Any) -> dict[str, Any]:
    """The schema of an object, with local references put in place and what is unsafe left out.

    Raises:
        UnusableSchema: it describes no object, or is too deep or too large.
    """
    if not isinstance(schema, Mapping):
        raise UnusableSchema("A tool's arguments are described by a JSON schema.")
    result = _tamed(schema, schema, 0)
    if result.setdefault("type", "object") != "object":
        raise UnusableSchema("A tool's arguments are an object.")
    result.setdefault("properties", {})
    return result


def safe_pattern(pattern: Any) -> bool:
    """Whether a regular expression is short and cannot explode."""
    if not isinstance(pattern, str) or len(pattern) > MOST_CHARACTERS or _EXPLOSIVE.search(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return pattern.count("*") + pattern.count("+") <= 4


def _tamed(schema: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise UnusableSchema("The schema is nested too deeply.")
    if not isinstance(schema, Mapping):
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _tamed({**_resolved(reference, root), **rest}, root, depth + 1)
    result = {key: value for key, value in schema.items() if key not in _DROPPED}
    if isinstance(result.get("title"), str):
        del result["title"]  # pydantic repeats the name; the model has it already
    if "pattern" in result and not safe_pattern(result["pattern"]):
        del result["pattern"]
    if isinstance(properties := result.get("properties"), Mapping):
        if len(properties) > MOST_PROPERTIES:
            raise UnusableSchema(f"A tool may have at most {MOST_PROPERTIES} arguments.")
        result["properties"] = {str(name): _tamed(part, root, depth + 1) for name, part in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), Mapping):
            result[key] = _tamed(result[key], root, depth + 1)
    for key in _LISTS:
        if isinstance(result.get(key), list):
            result[key] = [_tamed(part, root, depth + 1) for part in result[key]]
    return _without_null(result)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional value in pydantic's manner, `anyOf: [X, null]`, as X: what is null is left out of the arguments."""
    options = schema.get("anyOf")
    if isinstance(options, list):
        real = [option for option in options if option.get("type") != "null"]
        if len(real) == 1 and len(real) < len(options):
            rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
            return {**real[0], **rest}
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        rest_of = [kind for kind in kinds if kind != "null"]
        schema["type"] = rest_of[0] if len(rest_of) == 1 else rest_of
    return schema


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    if not reference.startswith("#/"):
        return {}
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}

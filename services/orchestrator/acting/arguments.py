"""Arguments as a model gives them, made to fit the tool's schema: repaired where the meaning is plain, else refused.

Every repair keeps the value's meaning (a number written as text, a key in another spelling, an enumerated value in
other letters). What would have to be guessed is a problem that is told to the model, never a value.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import msgspec
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from services.orchestrator.acting import loose_json

ALIKE = 0.88
"""How alike a misspelt name must be to be taken for the one that is meant, beside being the only such."""
LONGEST_TEXT = 4000
SHORT = 4
"""A value of fewer letters must be a word of the customer's; longer ones may be written with spaces between."""
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WRAPPERS = frozenset({"arguments", "parameters", "args", "params", "input", "kwargs"})
_TRUE, _FALSE = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off"})
_NOTHING = frozenset({"", "null", "none", "n/a", "unknown", "undefined"})
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(slots=True)
class Checked:
    """Arguments that fit unless there are `problems`; `repairs` says what was changed."""

    arguments: dict[str, Any] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def checked(given: Any, schema: Mapping[str, Any], said: str | None = None) -> Checked:
    """Fit arguments to a tamed schema.

    Args:
        given: what the model gave: an object, JSON text of one, or nothing.
        schema: of the tool, as `tool_schemas.tamed` leaves it.
        said: the customer's own words; None where a person or a rule asks, whom nobody doubts.
    """
    result = Checked()
    arguments = _object(given, schema, result)
    if result.problems:
        return result
    result.arguments = _fitted_object(arguments, schema, result, "")
    for error in _validator(msgspec.json.encode(schema)).iter_errors(result.arguments):
        where = ".".join(str(part) for part in error.absolute_path)
        result.problems.append(f"{where}: {error.message}"[:300] if where else error.message[:300])
    if said is not None and not result.problems:
        _check_said(result, schema, said)
    return result


def key(name: str) -> str:
    """A name without case, marks and separators, for comparison."""
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", _CAMEL.sub(" ", name)).casefold()))


def closest(name: str, among: list[str]) -> str | None:
    """The one of these names that is meant: the same but for spelling, or the only one that is nearly the same."""
    wanted = key(name)
    same = [candidate for candidate in among if key(candidate) == wanted]
    if len(same) == 1:
        return same[0]
    near = [
        candidate
        for candidate in among
        if len(wanted) > 3 and SequenceMatcher(None, wanted, key(candidate)).ratio() >= ALIKE
    ]
    return near[0] if len(near) == 1 else None


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> Any:
    return Draft202012Validator(msgspec.json.decode(schema), format_checker=None)


def _object(given: Any, schema: Mapping[str, Any], result: Checked) -> dict[str, Any]:
    if isinstance(given, str):
        if given.strip().lower() in _NOTHING:
            return {}
        try:
            given = loose_json.loads(given)
        except loose_json.NotJSON as error:
            result.problems.append(f"the arguments are not a JSON object ({error})"[:200])
            return {}
        result.repairs.append("arguments: read from text")
    if given is None:
        return {}
    properties = schema.get("properties", {})
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], Mapping):
        given = given[0]
    if not isinstance(given, Mapping):
        if len(properties) == 1 and isinstance(given, str | int | float):
            return {next(iter(properties)): given}
        result.problems.append("the arguments are not an object of names and values")
        return {}
    while len(given) == 1 and (only := next(iter(given))) in _WRAPPERS - properties.keys():
        inner = given[only]
        if not isinstance(inner, Mapping):
            break
        given = inner
    return {str(name): value for name, value in given.items()}


def _fitted_object(given: Mapping[str, Any], schema: Mapping[str, Any], result: Checked, path: str) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    fitted: dict[str, Any] = {}
    free = [name for name in properties if name not in given]
    for name, value in given.items():
        own = name if name in properties else closest(name, free)
        if own is None:
            if schema.get("additionalProperties", False) is False:
                result.repairs.append(f"{path}{name}: left out, the tool has no such argument")
            else:
                fitted[name] = value
            continue
        if own != name:
            result.repairs.append(f"{path}{name}: taken as {own}")
            free.remove(own)
        if _is_nothing(value, properties[own]) and own not in schema.get("required", ()):
            continue
        fitted[own] = _fitted(value, properties[own], result, f"{path}{own}")
    for name, part in properties.items():
        if name not in fitted and isinstance(part, Mapping) and part.get("default") is not None:
            fitted[name] = part["default"]
    return fitted


def _is_nothing(value: Any, schema: Mapping[str, Any]) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and value.strip().lower() in _NOTHING and value not in schema.get("enum", ())


def _fitted(value: Any, schema: Mapping[str, Any], result: Checked, path: str) -> Any:
    kind = schema.get("type")
    fit: Callable[[Any, Mapping[str, Any]], Any] | None = _FITS.get(kind) if isinstance(kind, str) else None
    if isinstance(value, list) and len(value) == 1 and kind not in {"array", None}:
        value = value[0]
        result.repairs.append(f"{path}: taken out of a list")
    if kind == "object":
        return _fitted_object(value, schema, result, f"{path}.") if isinstance(value, Mapping) else value
    if kind == "array":
        return _fitted_list(value, schema, result, path)
    fitted = fit(value, schema) if fit else value
    if "enum" in schema:
        fitted = _enumerated(fitted, schema["enum"])
    if "pattern" in schema and isinstance(fitted, str):
        fitted = _to_pattern(fitted, schema["pattern"])
    if fitted != value or type(fitted) is not type(value):
        result.repairs.append(f"{path}: {str(value)[:60]!r} as {str(fitted)[:60]!r}")
    return fitted


def _fitted_list(value: Any, schema: Mapping[str, Any], result: Checked, path: str) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = loose_json.loads(value)
        except loose_json.NotJSON:
            return value
    if not isinstance(value, list):
        result.repairs.append(f"{path}: put into a list")
        value = [value]
    items = schema.get("items") or {}
    return [_fitted(item, items, result, f"{path}[{number}]") for number, item in enumerate(value)]


def _text(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = text.strip()[:LONGEST_TEXT]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        text = text[1:-1].strip()
    return text.lower() if schema.get("format") == "email" else text


def _number(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        found = _NUMBER.fullmatch(re.sub(r"(?<=\d),(?=\d{3}\b)|[\s$€£¥]|USD|EUR|GBP", "", value))
        if not found:
            return value
        value = float(found.group()) if "." in found.group() else int(found.group())
    if schema.get("type") == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _boolean(value: Any, _schema: Mapping[str, Any]) -> Any:
    word = str(value).strip().lower()
    if isinstance(value, str | int) and not isinstance(value, bool):
        return True if word in _TRUE else False if word in _FALSE else value
    return value


_FITS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "string": _text,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
}


def _enumerated(value: Any, allowed: list[Any]) -> Any:
    if value in allowed or not isinstance(value, str):
        return value
    return closest(value, [item for item in allowed if isinstance(item, str)]) or value


def _to_pattern(text: str, pattern: str) -> str:
    """The text without the decoration that people put around identifiers (#, spaces, hyphens), if that makes it fit."""
    if re.search(pattern, text[:500]):
        return text
    bare = re.sub(r"[\s#.-]", "", text)
    for plain in (text.lstrip("#№ ").strip(), text.lower(), text.upper(), bare, bare.upper(), bare.lower()):
        if re.search(pattern, plain[:500]):
            return plain
    return text


def _check_said(result: Checked, schema: Mapping[str, Any], said: str) -> None:
    spoken = key(said)
    words = {key(word) for word in said.split()}
    for name, part in schema.get("properties", {}).items():
        value = result.arguments.get(name)
        if value is None or not isinstance(part, Mapping) or not part.get("x-said"):
            continue
        wanted = key(str(value))
        if wanted not in (spoken if len(wanted) >= SHORT else words):
            result.problems.append(f"{name}: the customer did not say this; ask for it instead of guessing")

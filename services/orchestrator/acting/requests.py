"""The rule engine: finds what a model asks for, in its text or as native tool calls, and nothing else.

In text an action request is a JSON object of `REQUEST_SCHEMA`, marked as one: fenced, in <action> or <tool_call> tags,
after the word ActionRequest, or alone. Native calls are OpenAI's `tool_calls` (and the older `function_call`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packages.core.domain.actions import ActionRequest
from services.orchestrator.acting import loose_json
from services.orchestrator.acting.arguments import closest
from services.orchestrator.actions import Tool

MOST_REQUESTS = 4
"""Of one step; more are a model running wild."""
LONGEST_OUTPUT = 60_000

REQUEST_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ActionRequest",
    "type": "object",
    "properties": {"action": {"type": "string"}, "arguments": {"type": "object"}},
    "required": ["action"],
}
_NAMES = ("action", "name", "tool", "tool_name", "function", "action_name", "ActionRequest")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "action_input", "tool_input")
_OPENING = re.compile(
    r"```[ \t]*(?P<fence>[\w-]*)[ \t]*\n?(?=\s*[\[{])|<(?P<tag>action|action_request|tool_call|function_call)>\s*"
    r"|\bActionRequest\s*[:=(]?\s*(?=\{)",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"\s*\)?\s*(?:```|</\w+>)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a model; `call_id` is the model's own, to be answered by; `problem` says why it cannot be run."""

    name: str
    arguments: Any
    call_id: str = ""
    problem: str = ""

    def request(self, idempotency_key: str) -> ActionRequest:
        """In the words of the domain."""
        arguments = self.arguments if isinstance(self.arguments, dict) else {}
        return ActionRequest(name=self.name, arguments=arguments, idempotency_key=idempotency_key)


@dataclass(frozen=True, slots=True)
class Found:
    """What a model said (`text`, its requests cut out) and what it asks for."""

    text: str
    asked: tuple[Asked, ...] = field(default=())


def find(text: str, tool_calls: Sequence[Mapping[str, Any]], tools: Iterable[Tool]) -> Found:
    """The requests in one output of a model, at most `MOST_REQUESTS`; names are matched to the tools offered.

    Args:
        text: as the model wrote it.
        tool_calls: in OpenAI's form: `{id, type, function: {name, arguments}}`.
        tools: what was offered; anything else is a problem for the model to hear of.
    """
    names = [tool.name for tool in tools]
    asked = [_native(call, names) for call in tool_calls]
    rest, blocks = _blocks(text[:LONGEST_OUTPUT], names)
    return Found(rest, tuple([*asked, *blocks][:MOST_REQUESTS]))


def _native(call: Mapping[str, Any], names: list[str]) -> Asked:
    function = call.get("function")
    inner: Mapping[str, Any] = function if isinstance(function, Mapping) else call
    name, arguments = inner.get("name"), inner.get("arguments", inner.get("input"))
    return _asked(name if isinstance(name, str) else "", arguments, names, str(call.get("id") or ""))


def _asked(name: str, arguments: Any, names: list[str], call_id: str = "") -> Asked:
    """Names come as they are, with a prefix (`functions.x`) or misspelt."""
    meant = name if name in names else closest(name.rpartition(".")[2], names)
    if meant is None:
        offered = ", ".join(names) or "none"
        return Asked(name[:64], arguments, call_id, f"There is no action {name[:64]!r}. There are: {offered}.")
    return Asked(meant, arguments, call_id)


def _blocks(text: str, names: list[str]) -> tuple[str, list[Asked]]:
    """The text without its request blocks, and these."""
    if "{" not in text and "<" not in text:
        return text.strip(), []
    whole = _objects(text.strip(), names) if text.lstrip()[:1] in "{[" else None
    if whole:
        return "", whole
    kept: list[str] = []
    found: list[Asked] = []
    at = 0
    while opening := _OPENING.search(text, at):
        start = opening.end()
        end = _end_of_value(text, start)
        requests = _objects(text[start:end], names, marked=opening.group("tag") is not None)
        if requests is None:
            kept.append(text[at:start])
            at = start
            continue
        found += requests
        kept.append(text[at : opening.start()])
        closing = _CLOSING.match(text, end)
        at = closing.end() if closing else end
    return "".join([*kept, text[at:]]).strip(), found


def _objects(block: str, names: list[str], *, marked: bool = False) -> list[Asked] | None:
    """The requests of a block; None if it is something else, such as an example in a reply."""
    try:
        value = loose_json.loads(block)
    except loose_json.NotJSON:
        value = None
    items = value if isinstance(value, list) else [value]
    read = [_object(item, names) for item in items]
    if read and all(read):
        return [item for item in read if item is not None]
    problem = 'The request is not valid JSON; write {"action": …, "arguments": {…}}.'
    return [Asked("", None, "", problem)] if marked else None


def _object(item: Any, names: list[str]) -> Asked | None:
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("function"), Mapping):
        return _native(item, names)
    for label in _NAMES:
        inner = item.get(label)
        if isinstance(inner, Mapping) and label == "ActionRequest":
            return _object(inner, names)
        if not isinstance(inner, str):
            continue
        arguments = next((item[word] for word in _ARGUMENTS if word in item), None)
        flat = {key: value for key, value in item.items() if key != label}
        is_request = arguments is not None or not flat or label in {"action", "tool", "function"}
        return _asked(inner, flat if arguments is None else arguments, names) if is_request else None
    return None


def _end_of_value(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; the end of the text where it never is."""
    depth, at, quote = 0, start, ""
    while at < len(text):
        character = text[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character == '"':
            quote = character
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if depth <= 0:
                return at + 1
        elif depth == 0 and text.startswith(("```", "</"), at):
            return at
        at += 1
    return len(text)

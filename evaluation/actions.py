"""Whether an action is run with the arguments that the model meant, however it writes them, and never with wrong ones.

The tools are a real shop's (ABCD): its actions, its slots, its 55 procedures. Each request that is right is written in
every form that models are known for; each that is wrong in one respect has to be refused rather than mended.
"""

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.datasets import DATA
from evaluation.report import Goal, Report, Table
from services.orchestrator.acting import arguments, requests
from services.orchestrator.actions import Identity, Risk, Tool

SEED = 20
_USERS = ["cminh", "aphoenix", "jwu", "dwilliams", "safzal"]
_STREETS = ["Lexington Ave", "Kennedy St", "Circle Drive", "Monterey Blvd"]
_SHAPES: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "order_id": (r"^\d{10}$", lambda pick: str(pick.randrange(10**9, 10**10))),
    "account_id": (r"^[a-z0-9]{10}$", lambda pick: "".join(pick.choices("abcdefghjkmnpqrstuvwxyz0123456789", k=10))),
    "email": (r"^\S+@\S+$", lambda pick: f"{pick.choice(_USERS)}{pick.randrange(100, 999)}@example.com"),
    "username": (r"^[a-z]+\d+$", lambda pick: f"{pick.choice(_USERS)}{pick.randrange(100, 999)}"),
    "phone": ("", lambda pick: f"({pick.randrange(200, 999)}) {pick.randrange(200, 999)}-{pick.randrange(1000, 9999)}"),
    "pin_number": (r"^\d{6}$", lambda pick: str(pick.randrange(10**5, 10**6))),
    "zip_code": (r"^\d{5}$", lambda pick: str(pick.randrange(10**4, 10**5))),
    "street_address": ("", lambda pick: f"{pick.randrange(1, 9999)} {pick.choice(_STREETS)}"),
    "full_address": ("", lambda pick: f"{pick.randrange(1, 9999)} {pick.choice(_STREETS)}, Newtown, CA 94005"),
    "amount": ("", lambda pick: str(pick.choice([15, 30, 50, 64, 99, 120]))),
    "details": ("", lambda pick: pick.choice(["gift wrapped", "left at the door", "blue one"])),
}
_NUMBERS = frozenset({"amount"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is right: what is asked for, and what the customer said."""

    tool: str
    arguments: dict[str, Any]
    said: str


def tools() -> dict[str, Tool]:
    """The shop's actions as tools; enumerated slots are a choice, identifiers stand in the customer's words."""
    ontology = json.loads((DATA / "actions_ontology.json").read_text())
    choices = ontology["values"]["enumerable"]
    made = {}
    for group in ontology["actions"].values():
        for action, slots in group.items():
            properties = {slot: _property(slot, choices) for slot in [*slots, "details"] if slots}
            name = action.replace("-", "_")
            made[name] = Tool(
                name=name,
                description=action,
                parameters={"type": "object", "properties": properties, "additionalProperties": False},
                risk=Risk.READ,
                identity=Identity.ANYONE,
            )
    return made


def _property(slot: str, choices: Mapping[str, list[str]]) -> dict[str, Any]:
    if slot in choices:
        return {"type": "string", "enum": choices[slot]}
    pattern = _SHAPES[slot][0] if slot in _SHAPES else ""
    kind = "number" if slot in _NUMBERS else "string"
    return {"type": kind, "x-said": True} | ({"pattern": pattern} if pattern else {})


def recorded(offered: Mapping[str, Tool]) -> list[Request]:
    """The actions of real conversations; their values are given without names, so each goes where it fits."""
    found = []
    for line in (DATA / "actions.jsonl").read_text().splitlines():
        row = json.loads(line)
        tool = offered[row["action"].replace("-", "_")]
        said = "\n".join(text for author, text in row["history"] if author == "customer")
        free = dict(tool.parameters["properties"])
        given: dict[str, Any] = {}
        for value in row["args"]:
            slot = next((name for name, part in free.items() if _fits(value, part)), None)
            if slot is not None:
                del free[slot]
                given[slot] = value
        found.append(Request(tool.name, given, said))
    return found


def _fits(value: str, part: Mapping[str, Any]) -> bool:
    if "enum" in part:
        return value.casefold() in {str(item).casefold() for item in part["enum"]}
    return part["type"] == "string" and ("pattern" not in part or re.search(part["pattern"], value) is not None)


def drawn(offered: Mapping[str, Tool], pick: random.Random) -> list[Request]:
    """The steps of every procedure, with values drawn as the shop's customers have them."""
    found = []
    for steps in json.loads((DATA / "actions_procedures.json").read_text()).values():
        for step in steps:
            tool = offered.get(step.replace("-", "_"))
            slots = [slot for slot in tool.parameters["properties"] if slot != "details"] if tool else []
            if tool is None or not slots:
                continue
            chosen = pick.sample(slots, k=min(len(slots), pick.randint(1, 3)))
            given = {slot: _value(slot, tool.parameters["properties"][slot], pick) for slot in chosen}
            found.append(Request(tool.name, given, "It is " + ", ".join(str(value) for value in given.values())))
    return found


def _value(slot: str, part: Mapping[str, Any], pick: random.Random) -> Any:
    if "enum" in part:
        return pick.choice(part["enum"])
    text = _SHAPES[slot][1](pick) if slot in _SHAPES else f"my {slot.replace('_', ' ')}"
    return int(text) if slot in _NUMBERS else text


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _block(request: Request) -> str:
    return json.dumps({"action": request.tool, "arguments": request.arguments})


def _renamed(request: Request, rename: Callable[[str], str]) -> str:
    return json.dumps({"action": request.tool, "arguments": {rename(k): v for k, v in request.arguments.items()}})


def _changed(request: Request, change: Callable[[Any], Any]) -> str:
    return json.dumps({"action": request.tool, "arguments": {k: change(v) for k, v in request.arguments.items()}})


def _loose_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() and value[0] != "0" else value


FORMS: dict[str, Callable[[Request], str]] = {
    "fenced": lambda one: f"```action\n{_block(one)}\n```",
    "fenced as json, words around it": lambda one: f"Let me look.\n```json\n{_block(one)}\n```\nOne moment.",
    "tool_call tags": lambda one: f"<tool_call>{_block(one).replace('action', 'name', 1)}</tool_call>",
    "bare": _block,
    "Python literals": lambda one: f"```\n{ {'action': one.tool, 'arguments': one.arguments} }\n```",
    "trailing commas": lambda one: f"```action\n{_block(one).replace('}', ',}')}\n```",
    "cut off": lambda one: f"```action\n{_block(one)[:-2]}",
    "arguments as text": lambda one: json.dumps({"name": one.tool, "arguments": json.dumps(one.arguments)}),
    "arguments beside the name": lambda one: json.dumps({"action": one.tool, **one.arguments}),
    "camelCase": lambda one: _renamed(one, _camel),
    "Title Case": lambda one: _renamed(one, lambda name: name.replace("_", " ").title()),
    "hyphens in the name": lambda one: _block(one).replace(one.tool, one.tool.replace("_", "-")),
    "numbers for identifiers": lambda one: _changed(one, _loose_number),
    "upper case, with spaces": lambda one: _changed(one, lambda v: f" {v.title()} " if isinstance(v, str) else v),
    "everything as text": lambda one: _changed(one, str),
    "each in a list": lambda one: _changed(one, lambda value: [value]),
}


def understood(
    text: str, offered: Mapping[str, Tool], said: str, native: bool = False
) -> tuple[str, dict[str, Any]] | None:
    """What would be run: the tool and its arguments; None where it is refused."""
    calls: list[dict[str, Any]] = [json.loads(text)] if native else []
    found = requests.find("" if native else text, calls, offered.values())
    if len(found.asked) != 1 or found.asked[0].problem:
        return None
    asked = found.asked[0]
    checked = arguments.checked(asked.arguments, offered[asked.name].parameters, said)
    return None if checked.problems else (asked.name, checked.arguments)


def _native(request: Request) -> str:
    function = {"name": request.tool, "arguments": json.dumps(request.arguments)}
    return json.dumps({"id": "call_1", "type": "function", "function": function})


def is_right(found: tuple[str, dict[str, Any]] | None, wanted: Request) -> bool:
    """The same tool and values; letters and spaces around a value do not count."""
    if found is None or found[0] != wanted.tool or found[1].keys() != wanted.arguments.keys():
        return False
    return all(_plain(found[1][name]) == _plain(value) for name, value in wanted.arguments.items())


def _plain(value: Any) -> str:
    return str(value).strip().casefold()


def wrong(request: Request, offered: Mapping[str, Tool], pick: random.Random) -> dict[str, str]:
    """The request with one thing wrong, by what it is."""
    made = {"action that is not offered": _block(Request(f"delete_{request.tool}_now", request.arguments, ""))}
    properties = offered[request.tool].parameters["properties"]
    for slot, value in request.arguments.items():
        if "enum" in properties[slot]:
            bad = {**request.arguments, slot: "free of charge for ever"}
            made["value that is none of the choices"] = _block(Request(request.tool, bad, ""))
        elif slot in {"order_id", "pin_number", "zip_code", "phone"}:
            digits = [index for index, letter in enumerate(value) if letter.isdigit()]
            place = pick.choice(digits[1:])
            other = value[:place] + str((int(value[place]) + pick.randrange(1, 10)) % 10) + value[place + 1 :]
            made["identifier with a digit changed"] = _block(
                Request(request.tool, {**request.arguments, slot: other}, "")
            )
            if properties[slot].get("pattern"):
                short = {**request.arguments, slot: value[:-2]}
                made["identifier cut short"] = _block(Request(request.tool, short, ""))
    return made


async def evaluate() -> Report:
    """Every form of every request, and every fault; with the time that one takes."""
    pick = random.Random(SEED)  # noqa: S311 - drawn the same each time, no secret
    offered = tools()
    all_requests = [*recorded(offered), *drawn(offered, pick)]
    by_form = {}
    for name, form in FORMS.items():
        by_form[name] = [is_right(understood(form(one), offered, one.said), one) for one in all_requests]
    by_form["native call"] = [
        is_right(understood(_native(one), offered, one.said, native=True), one) for one in all_requests
    ]
    by_fault: dict[str, list[bool]] = {}
    for one in all_requests:
        for name, text in wrong(one, offered, pick).items():
            by_fault.setdefault(name, []).append(understood(text, offered, one.said) is None)
    right = [hit for hits in by_form.values() for hit in hits]
    refused = [hit for hits in by_fault.values() for hit in hits]
    return Report(
        name="Actions",
        tables=[
            Table("Right requests, by how the model writes them", ["form", "n", "run as meant"], _rows(by_form)),
            Table("Wrong requests", ["what is wrong", "n", "refused"], _rows(by_fault)),
        ],
        goals=[
            Goal("arguments right where the model proposes them right", _share(right), at_least=0.95),
            Goal("wrong requests refused", _share(refused), at_least=0.95),
            Goal("milliseconds to find and check one request", _milliseconds(all_requests, offered), at_most=1.0),
        ],
    )


def _rows(found: Mapping[str, list[bool]]) -> list[list[str | int | float]]:
    return [[name, len(hits), _share(hits)] for name, hits in found.items()]


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def _milliseconds(all_requests: list[Request], offered: Mapping[str, Tool]) -> float:
    started = time.process_time()
    for one in all_requests:
        understood(FORMS["fenced"](one), offered, one.said)
    return (time.process_time() - started) * 1000 / len(all_requests)

"""The templates of a simulated business account, and what the platform demands of a message that uses one."""

import re
from collections.abc import Sequence
from typing import Any

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WhatsAppError

Payload = dict[str, Any]

_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_PAUSED = {"PAUSED": 132015, "DISABLED": 132016}
_VALUES = {"url": "text", "quick_reply": "payload", "copy_code": "coupon_code"}


def _template(name: str, text: str, *more: Payload, **changed: Any) -> Payload:
    components = [*[part for part in more if part["type"] == "HEADER"], {"type": "BODY", "text": text}]
    components += [part for part in more if part["type"] != "HEADER"]
    whole = {"name": name, "parameter_format": "POSITIONAL", "components": components, "language": "en_US"}
    return {**whole, "status": "APPROVED", "category": "UTILITY", **changed}


STANDARD: Sequence[Payload] = (
    _template(
        "hello_world", "Welcome and congratulations!", {"type": "HEADER", "format": "TEXT", "text": "Hello World"}
    ),
    _template(
        "order_update",
        "Hi {{1}}, your order {{2}} is on its way.",
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Track"}]},
    ),
    _template(
        "order_shipped",
        "Order {{1}} has left.",
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://shop.example/t/{{1}}"}]},
    ),
    _template("we_miss_you", "Hello {{1}}, may we help you further?", language="en"),
    _template("appointment", "Dear {{name}}, see you on {{day}}.", parameter_format="NAMED"),
    _template("summer_sale", "Everything must go!", status="PAUSED", category="MARKETING"),
    _template("abandoned_cart", "You forgot something.", status="REJECTED", category="MARKETING"),
)
"""What every account has, unless its settings list `templates` of its own."""


def templates_of(account: Channel) -> list[Payload]:
    """The account's templates, each with an id, as the platform lists them."""
    own = account.settings.get("templates")
    known = [item for item in own if isinstance(item, dict)] if isinstance(own, list) else list(STANDARD)
    return [{**item, "id": str(600_000_000_000_000 + number)} for number, item in enumerate(known)]


def check_template(account: Channel, used: Payload) -> None:
    """Whether a message may use a template in this way.

    Raises:
        WhatsAppError: it does not exist, is out of order, or its values do not fit.
    """
    name, language = used.get("name"), used["language"].get("code")
    found = next((item for item in templates_of(account) if (item["name"], item["language"]) == (name, language)), None)
    if found is None or found["status"] == "REJECTED":
        raise WhatsAppError(132001, f"template name ({name}) does not exist in {language}")
    if found["status"] in _PAUSED:
        raise WhatsAppError(_PAUSED[found["status"]])
    parts = {str(part.get("type")).lower(): part for part in found["components"]}
    components = [part for part in _list(used.get("components")) if isinstance(part, dict)]
    given = {str(part.get("type")).lower(): part for part in components}
    _header(parts.get("header", {}), _list(given.get("header", {}).get("parameters")))
    _body(found, parts["body"]["text"], _list(given.get("body", {}).get("parameters")))
    buttons = [part for part in components if str(part.get("type")).lower() == "button"]
    _buttons(_list(parts.get("buttons", {}).get("buttons")), buttons)


def _header(header: Payload, given: list[Any]) -> None:
    kind = str(header.get("format", "")).lower()
    wanted = 1 if kind in {"image", "video", "document"} else len(set(_VARIABLE.findall(str(header.get("text", "")))))
    _count("header", len(given), wanted)
    for parameter in given:
        of_type = parameter.get("type") if isinstance(parameter, dict) else None
        if of_type != kind:
            raise WhatsAppError(132012, f"header: Format mismatch, expected {kind.upper()}, received {of_type}")
        content = parameter.get(of_type)
        if of_type != "text" and not (isinstance(content, dict) and (content.get("link") or content.get("id"))):
            raise WhatsAppError(131008, f"header: '{of_type}' needs an id or a link")


def _body(found: Payload, text: str, given: list[Any]) -> None:
    wanted = list(dict.fromkeys(_VARIABLE.findall(text)))
    _count("body", len(given), len(wanted))
    for parameter in given:
        value = parameter.get("text") if isinstance(parameter, dict) else None
        if not isinstance(value, str) or not value:
            raise WhatsAppError(131008, "body: Parameter of type text is missing text value")
        if re.search(r"[\n\t]| {5,}", value):
            raise WhatsAppError(132008, "Param text cannot have new-line/tab characters or more than 4 spaces in a row")
    names = [parameter.get("parameter_name") for parameter in given]
    if found.get("parameter_format") == "NAMED" and set(names) != set(wanted):
        raise WhatsAppError(100, "body: Parameter name is missing or empty")


def _buttons(known: list[Any], given: list[Payload]) -> None:
    dynamic = {
        str(index)
        for index, button in enumerate(known)
        if button.get("type") == "COPY_CODE" or _VARIABLE.search(str(button.get("url", "")))
    }
    for button in given:
        index, kind = str(button.get("index")), str(button.get("sub_type"))
        if not index.isdigit() or int(index) >= len(known) or str(known[int(index)].get("type")).lower() != kind:
            raise WhatsAppError(132012, f"button: No {kind} button at the index {index}")
        values = [value for value in _list(button.get("parameters")) if isinstance(value, dict)]
        if not values or not values[0].get(_VALUES.get(kind, "text")):
            raise WhatsAppError(131008, f"button: Parameter {kind} at the index {index} is empty")
        dynamic.discard(index)
    if dynamic:
        raise WhatsAppError(131008, f"Required parameter is missing: button at index {min(dynamic)} needs a value")


def _count(where: str, given: int, wanted: int) -> None:
    if given != wanted:
        details = f"number of localizable_params ({given}) does not match the expected number of params ({wanted})"
        raise WhatsAppError(132000, f"{where}: {details}")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

"""WhatsApp's templates: listed with their variables, and filled.

After Meta's pages "Templates" (business management API) and "Send message templates". Which of a template's buttons
take a value, and what its header is, stands in its definition alone, so a send looks it up where it matters.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from packages.core.domain.messages import Template
from packages.core.errors import Unavailable
from services.channel_gateway.channels import TemplateInfo
from services.channel_gateway.channels.whatsapp.content import objects
from services.channel_gateway.channels.whatsapp.number import Number

JSON = dict[str, Any]

_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_BREAKS = re.compile(r"\s*[\r\n\t]\s*|\s{4,}")
_MEDIA = ("image", "video", "document")
_FIELDS = "name,language,status,category,components,parameter_format"
_PAGE, _PAGES = 100, 60
_FRESH_SECONDS, _ASK_AGAIN_SECONDS, _MOST_KNOWN = 600.0, 30.0, 2000
_VALUE_OF = {
    "url": ("text", "text"),
    "quick_reply": ("payload", "payload"),
    "copy_code": ("coupon_code", "coupon_code"),
}
_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".png"), "image"),
    **dict.fromkeys((".mp4", ".3gp"), "video"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a template's definition says of its values: the header's format, and each button's kind and whether it takes
    one."""

    header: str | None
    buttons: tuple[tuple[str, bool], ...]


class Shapes:
    """Definitions of templates, asked for once in ten minutes; kept with the moment until which they hold."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[float, Shape | None]] = {}

    async def find(self, number: Number, template: Template) -> Shape | None:
        """The shape of a template whose header or buttons take values; None where that is not needed or not known."""
        if not template.header and not template.buttons:
            return None
        key, now = (number.id, template.name, template.language), time.monotonic()
        kept = self._known.get(key)
        if kept and now < kept[0]:
            return kept[1]
        shape = await self._ask(number, template)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = (now + (_FRESH_SECONDS if shape else _ASK_AGAIN_SECONDS), shape)
        return shape

    async def _ask(self, number: Number, template: Template) -> Shape | None:
        business = await number.business_account_id()
        if business is None:
            return None
        params = {"fields": _FIELDS, "name": template.name, "limit": str(_PAGE)}
        answer = await number.call("GET", f"{business}/message_templates", params=params)
        for found in answer.data():
            if found.get("name") == template.name and found.get("language") == template.language:
                return shape_of(found)
        return None


async def listed(number: Number) -> list[TemplateInfo]:
    """All templates of the number's business account.

    Raises:
        Unavailable: it is not known, or the platform does not answer.
    """
    business = await number.business_account_id()
    if business is None:
        raise Unavailable("The WhatsApp business account is not known; set `waba_id` in the channel's settings.")
    found: list[TemplateInfo] = []
    params = {"fields": _FIELDS, "limit": str(_PAGE)}
    for _ in range(_PAGES):
        answer = await number.call("GET", f"{business}/message_templates", params=params)
        if not answer.ok:
            raise Unavailable(f"WhatsApp does not list the templates: {answer.reason}")
        found += [described(item) for item in answer.data() if item.get("name")]
        paging = answer.object().get("paging")
        cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
        if not isinstance(cursors, dict) or not cursors.get("after"):
            break
        params = {**params, "after": str(cursors["after"])}
    return found


def described(found: Mapping[str, Any]) -> TemplateInfo:
    """A template as the platform lists it, with its variables counted."""
    header, body = _component(found, "HEADER"), _component(found, "BODY")
    text = str(body.get("text") or "")
    names = list(dict.fromkeys(_VARIABLE.findall(text)))
    is_named = found.get("parameter_format") == "NAMED" or any(not name.isdigit() for name in names)
    shape = shape_of(found)
    parameters = len(set(_VARIABLE.findall(str(header.get("text") or ""))))
    return TemplateInfo(
        name=str(found["name"]),
        language=str(found.get("language") or ""),
        status=str(found.get("status") or "UNKNOWN").lower(),
        category=str(found["category"]).lower() if found.get("category") else None,
        text=text,
        body=0 if is_named else len(names),
        named=tuple(names) if is_named else (),
        header=shape.header,
        header_parameters=1 if shape.header in _MEDIA else parameters,
        buttons=sum(takes for _, takes in shape.buttons),
    )


def shape_of(found: Mapping[str, Any]) -> Shape:
    """What a listed template says of header and buttons."""
    header_format = _component(found, "HEADER").get("format")
    buttons = objects(_component(found, "BUTTONS").get("buttons"))
    kinds = [(str(button.get("type") or "").lower(), button) for button in buttons]
    return Shape(
        header=str(header_format).lower() if header_format else None,
        buttons=tuple((kind, _takes_value(kind, button)) for kind, button in kinds),
    )


def _takes_value(kind: str, button: Mapping[str, Any]) -> bool:
    return kind == "copy_code" or (kind == "url" and bool(_VARIABLE.search(str(button.get("url") or ""))))


def _component(found: Mapping[str, Any], kind: str) -> JSON:
    components = objects(found.get("components"))
    return next((item for item in components if str(item.get("type")).upper() == kind), {})


def filled(template: Template, shape: Shape | None) -> JSON:
    """The template with its values, as a message carries it."""
    components: list[JSON] = []
    if template.header:
        parameters = [_header_value(value, shape.header if shape else None) for value in template.header]
        components.append({"type": "header", "parameters": parameters})
    body = [{"type": "text", "text": _one_line(value)} for value in template.body]
    body += [
        {"type": "text", "parameter_name": name, "text": _one_line(value)} for name, value in template.named.items()
    ]
    if body:
        components.append({"type": "body", "parameters": body})
    components += _buttons(template.buttons, shape)
    whole: JSON = {"name": template.name, "language": {"code": template.language}}
    return whole | {"components": components} if components else whole


def _header_value(value: str, kind: str | None) -> JSON:
    """A header's words, or its file by URL. An unknown template's file is told by its name."""
    is_link = value.startswith(("https://", "http://"))
    if kind not in _MEDIA:
        if kind is not None or not is_link:
            return {"type": "text", "text": _one_line(value)}
        kind = _SUFFIXES.get(PurePosixPath(urlsplit(value).path).suffix.lower(), "document")
    return {"type": kind, kind: {"link": value} if is_link else {"id": value}}


def _buttons(values: tuple[str, ...], shape: Shape | None) -> Iterator[JSON]:
    """A value for each button that takes one; where there are as many values as buttons, one for each (an empty one for
    none). Of an unknown template they are payloads of quick replies, in order."""
    kinds = shape.buttons if shape else tuple(("quick_reply", True) for _ in values)
    takers = [index for index, (_, takes) in enumerate(kinds) if takes]
    places = takers if len(values) == len(takers) else range(len(kinds))
    for index, value in zip(places, values, strict=False):
        kind = kinds[index][0]
        if not value or kind not in _VALUE_OF:
            continue
        of_type, key = _VALUE_OF[kind]
        parameter = {"type": of_type, key: value}
        yield {"type": "button", "sub_type": kind, "index": str(index), "parameters": [parameter]}


def _one_line(value: str) -> str:
    """A value without the line breaks, tabs and runs of spaces that a template's variables may not have."""
    return _BREAKS.sub(" ", value).strip()

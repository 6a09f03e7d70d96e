"""The Cloud API's forms: message ids, values of webhooks, the signed envelope."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from packages.core.crypto import hmac_sha256
from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms import Line
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import DETAILS, KNOWN

_INBOUND, _OUTBOUND = 0x12, 0x11


def message_id(person: str, *, inbound: bool) -> str:
    """A new id as the platform makes them: `wamid.` and base64 of the person's number and a random part."""
    digits = person.encode()[:60]
    direction = _INBOUND if inbound else _OUTBOUND
    random_part = secrets.token_hex(10).upper().encode()
    packed = bytes([0x1C, 0x18, len(digits), *digits, 0x15, 0x02, 0x00, direction, 0x18, 0x14, *random_part, 0x00])
    return "wamid." + base64.b64encode(packed).decode()


def is_user_id(person: str) -> bool:
    """Whether it is a business-scoped user id (US.…) rather than a phone number."""
    return "." in person


def digits(number: str) -> str:
    """A phone number as the platform writes it: without plus sign, spaces and punctuation."""
    return "".join(character for character in number if character.isdigit())


def person_id(person: str) -> str:
    """The platform's id of a person: digits of a number, or a business-scoped user id as it is."""
    return person if is_user_id(person) else digits(person)


def entry(account: Channel, value: dict[str, Any]) -> dict[str, Any]:
    """One entry of an envelope: a change of the field `messages` of the account's number."""
    number = str(account.settings.get("display_phone_number") or account.account_id)
    head = {"messaging_product": "whatsapp"}
    metadata = {"display_phone_number": digits(number) or number, "phone_number_id": account.account_id}
    change = {"value": {**head, "metadata": metadata, **value}, "field": "messages"}
    return {"id": business_account_id(account), "changes": [change]}


def business_account_id(account: Channel) -> str:
    """The account's WhatsApp business account, or a stable stand-in for it."""
    known = account.settings.get("business_account_id")
    return str(known) if known else f"10{int(hashlib.sha256(account.tenant_id.encode()).hexdigest()[:12], 16):015d}"


def messages_entry(account: Channel, lines: list[tuple[Line, str]]) -> dict[str, Any]:
    """An entry with messages of one account; each line comes with its message id."""
    messages, contacts = [], {}
    for line, external_id in lines:
        person = person_id(line.sender or "")
        name = {"from_user_id": person} if is_user_id(person) else {"from": person}
        content = line.message or {"type": "text", "text": {"body": line.text}}
        messages.append({**name, "id": external_id, "timestamp": str(int(time.time())), **content})
        key = {"user_id": person} if is_user_id(person) else {"wa_id": person}
        contacts[person] = {"profile": {"name": line.name or f"Customer {person[-4:]}"}, **key}
    return entry(account, {"contacts": list(contacts.values()), "messages": messages})


def status_entry(account: Channel, status: str, sent_id: str, recipient: str, callback: str | None) -> dict[str, Any]:
    """An entry with one status of a message that was sent."""
    name = {"recipient_user_id": recipient} if is_user_id(recipient) else {"recipient_id": recipient}
    item: dict[str, Any] = {"id": sent_id, "status": status, "timestamp": str(int(time.time())), **name}
    if callback is not None:
        item["biz_opaque_callback_data"] = callback
    if status == "failed":
        item["errors"] = [failure(131026)]
    elif status in ("sent", "delivered"):
        item["pricing"] = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service"}
        item["pricing"]["category"] = "service"
    return entry(account, {"statuses": [item]})


def failure(code: int) -> dict[str, Any]:
    """An error as it stands in a failed status."""
    title = KNOWN[code][1]
    data = {"details": DETAILS.get(code, title)}
    href = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
    return {"code": code, "title": title, "message": title, "error_data": data, "href": href}


def envelope(entries: Iterable[dict[str, Any]]) -> bytes:
    """The body of a webhook: ASCII with \\u escapes and escaped slashes, as Meta writes it. Neighbouring entries of one
    business account become one."""
    merged = [
        {"id": id_, "changes": [change for item in items for change in item["changes"]]}
        for id_, items in groupby(entries, key=lambda item: item["id"])
    ]
    body = json.dumps({"object": "whatsapp_business_account", "entry": merged}, separators=(",", ":"))
    return body.replace("/", "\\/").encode("ascii")


def signed_headers(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a webhook, signatures included (SHA-1 stands beside it for old receivers)."""
    key = secret.encode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "facebookexternalua",
        "X-Hub-Signature": f"sha1={hmac.digest(key, body, 'sha1').hex()}",
        "X-Hub-Signature-256": f"sha256={hmac_sha256(key, body)}",
    }

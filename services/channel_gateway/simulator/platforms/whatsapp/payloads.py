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
from services.channel_gateway.simulator.platforms.whatsapp.graph_errors import WORDINGS

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


def user_id(person: str) -> str:
    """The business-scoped user id of a person: their own, or one made of their number."""
    if is_user_id(person):
        return person
    return f"US.{int(hashlib.sha256(person.encode()).hexdigest()[:16], 16):020d}"


def names(person: str, phone_key: str, user_key: str) -> dict[str, str]:
    """A person under the keys of their ids; who hides their number has only one."""
    phone = {} if is_user_id(person) else {phone_key: person}
    return {**phone, user_key: user_id(person)}


def entry(account: Channel, value: dict[str, Any], field: str = "messages") -> dict[str, Any]:
    """One entry of an envelope: a change of a field of the account's number."""
    number = str(account.settings.get("display_phone_number") or account.account_id)
    head = {"messaging_product": "whatsapp"}
    metadata = {"display_phone_number": digits(number) or number, "phone_number_id": account.account_id}
    change = {"value": {**head, "metadata": metadata, **value}, "field": field}
    return {"id": business_account_id(account), "changes": [change]}


def business_account_id(account: Channel) -> str:
    """The account's WhatsApp business account, or a stable stand-in for it."""
    known = account.settings.get("waba_id") or account.settings.get("business_account_id")
    return str(known) if known else f"10{int(hashlib.sha256(account.tenant_id.encode()).hexdigest()[:12], 16):015d}"


def lines_entries(account: Channel, lines: list[tuple[Line, str]]) -> list[dict[str, Any]]:
    """The entries of one account's lines, each with its message id: its messages share one, and a line that brings a
    change of another field ({field, value}) has its own."""
    messages = [(line, id_) for line, id_ in lines if not is_change(line)]
    changes = [line.message for line, _ in lines if line.message and is_change(line)]
    entries = [messages_entry(account, messages)] if messages else []
    return entries + [entry(account, change["value"], str(change["field"])) for change in changes]


def is_change(line: Line) -> bool:
    """Whether a line is a change of any field, as it would stand in a webhook."""
    message = line.message or {}
    return "field" in message and isinstance(message.get("value"), dict)


def messages_entry(account: Channel, lines: list[tuple[Line, str]]) -> dict[str, Any]:
    """An entry with messages of one account; each line comes with its message id."""
    messages, contacts = [], {}
    for line, external_id in lines:
        person = person_id(line.sender or "")
        content = line.message or {"type": "text", "text": {"body": line.text}}
        head = {**names(person, "from", "from_user_id"), "id": external_id, "timestamp": str(int(time.time()))}
        messages.append({**head, **content})
        profile = {"name": line.name or f"Customer {person[-4:]}"}
        contacts[person] = {"profile": profile, **names(person, "wa_id", "user_id")}
    return entry(account, {"contacts": list(contacts.values()), "messages": messages})


def status_entry(
    account: Channel, status: str, sent_id: str, recipient: str, callback: str | None, *, code: int = 131026
) -> dict[str, Any]:
    """An entry with one status of a message that was sent; a failed one for the reason `code`."""
    people = names(recipient, "recipient_id", "recipient_user_id")
    if not is_person(recipient):
        people = {"recipient_id": recipient, "recipient_type": "group"}
    item: dict[str, Any] = {"id": sent_id, "status": status, "timestamp": str(int(time.time())), **people}
    if callback is not None:
        item["biz_opaque_callback_data"] = callback
    if status == "failed":
        item["errors"] = [failure(code)]
    elif status in ("sent", "delivered"):
        item["pricing"] = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service"}
        item["pricing"]["category"] = "service"
    return entry(account, {"statuses": [item]})


def is_person(recipient: str) -> bool:
    """Whether it is a person's number or id rather than a group's."""
    return recipient.isdigit() or is_user_id(recipient)


def failure(code: int) -> dict[str, Any]:
    """An error as it stands in a failed status."""
    wording = WORDINGS[code]
    data = {"details": wording.details or wording.message}
    href = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
    return {"code": code, "title": wording.message, "message": wording.message, "error_data": data, "href": href}


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

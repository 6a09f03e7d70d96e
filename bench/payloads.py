"""Webhooks as WhatsApp sends them: unique, signed, of a stated size."""

import hashlib
import hmac
import json
from collections.abc import Iterator

APP_SECRET = "bench-app-secret"  # noqa: S105 - of an app that does not exist


def whatsapp(message_id: str, *, phone_number_id: str, user: str, text: str) -> bytes:
    """The body of one text message."""
    message = {"from": user, "id": message_id, "timestamp": "1790000000", "type": "text", "text": {"body": text}}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": phone_number_id},
        "contacts": [{"profile": {"name": f"User {user}"}, "wa_id": user, "user_id": f"US.{user}"}],
        "messages": [message | {"from_user_id": f"US.{user}"}],
    }
    entry = {"id": "200000000000002", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def batch(count: int, tag: str, *, phone_number_id: str) -> bytes:
    """One body with many short messages, each of a customer of its own and in an entry of its own."""
    entries: list[object] = []
    for number in range(count):
        user = f"1555{number:07d}"
        body = whatsapp(f"wamid.{tag}{number:06d}", phone_number_id=phone_number_id, user=user, text="Where is it?")
        entries += json.loads(body)["entry"]
    return json.dumps({"object": "whatsapp_business_account", "entry": entries}, separators=(",", ":")).encode()


def sized(message_id: str, *, phone_number_id: str, user: str, size: int = 1024) -> bytes:
    """The same, its text made as long as it takes for `size` bytes."""
    rest = len(whatsapp(message_id, phone_number_id=phone_number_id, user=user, text=""))
    words = "please tell me where my order is and when it will arrive " * (size // 50 + 1)
    return whatsapp(message_id, phone_number_id=phone_number_id, user=user, text=words[: max(1, size - rest)])


def signature(body: bytes) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()


def http_request(body: bytes, path: str, port: int) -> bytes:
    """A whole HTTP/1.1 request, ready to be written to a socket."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Hub-Signature-256: {signature(body)}\r\n\r\n"
    )
    return head.encode() + body


def requests(count: int, tag: str, *, phone_number_id: str, path: str, port: int) -> Iterator[bytes]:
    """Requests of 1 KiB bodies from 1,000 customers; `tag` makes their message ids unlike those of any other call."""
    for number in range(count):
        user = f"1555{number % 1000:07d}"
        body = sized(f"wamid.{tag}{number:012d}", phone_number_id=phone_number_id, user=user)
        yield http_request(body, path, port)

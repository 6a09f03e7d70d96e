"""Sending through the WhatsApp Cloud API, and what its answers mean."""

import re
from typing import Any

import aiohttp
import msgspec

from services.channel_gateway.channels import Part, SendResult

_PHONE = re.compile(r"\+?\d{5,20}")
_USER_ID = re.compile(r"[A-Z]{2}\.[\w.]+")

# Error codes after Meta's "Error codes" page. Status codes do not sort errors: rate limits come as HTTP 400.
_WHOLE_CHANNEL_LATER = {4: 60.0, 80007: 60.0, 130429: 2.0, 2: 5.0, 131016: 5.0, 131000: 5.0, 133004: 5.0}
_THIS_PERSON_LATER = {131056: 6.0}
_MUCH_LATER = {131057: 120.0, 2494100: 120.0, 131048: 3600.0, 131064: 3600.0, 368: 3600.0, 1: 10.0}
RETRY_AFTER = {**_WHOLE_CHANNEL_LATER, **_THIS_PERSON_LATER, **_MUCH_LATER}
"""Codes after which the same message may go later, and in how many seconds."""

_CHANNEL_DOWN = {0, 190, 3, 10, 33, 131005, 131031, 131037, 131042, 131045, 133010, *range(200, 300)}
_PLAIN = {
    131047: "More than 24 hours have passed since the customer last wrote; only a template may be sent.",
    131026: "The customer cannot be reached on WhatsApp.",
    131030: "The customer's number is not on the test number's list of recipients.",
    190: "The channel's access token is invalid or has expired.",
    131031: "WhatsApp has locked the business account.",
}


def request_body(part: Part) -> dict[str, Any]:
    """The JSON of one text message. The recipient is a phone number, a business-scoped user id or a group id."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(part.recipient),
        "type": "text",
        "text": {"body": part.text, "preview_url": False},
        "biz_opaque_callback_data": part.correlation_id,
    }
    if part.reply_to:
        body["context"] = {"message_id": part.reply_to}
    return body


def _address(recipient: str) -> dict[str, str]:
    if _PHONE.fullmatch(recipient):
        return {"to": "+" + recipient.lstrip("+")}
    if _USER_ID.fullmatch(recipient):
        return {"recipient": recipient}
    return {"recipient_type": "group", "to": recipient}


async def post(http: aiohttp.ClientSession, url: str, token: str, body: dict[str, Any], seconds: float) -> SendResult:
    """Make one request and say how it ended."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        async with http.post(
            url,
            data=msgspec.json.encode(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds, connect=5),
        ) as response:
            return read_answer(response.status, await response.read(), response.headers.get("Retry-After"))
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        # No connection was made, so nothing left this machine.
        return SendResult(outcome="retry", code="unreachable", reason=f"WhatsApp cannot be reached: {error}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = f"no answer from WhatsApp: {error or type(error).__name__}"
        return SendResult(outcome="in_doubt", code="no_answer", reason=reason)


def read_answer(status: int, body: bytes, retry_after: str | None = None) -> SendResult:
    """What WhatsApp's answer to a send means."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if status == 200:
        return _accepted(answer)
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(error, dict) and isinstance(code, int):
        return _refused(code, error)
    if status >= 500 or status in {408, 429}:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else 5.0
        reason = f"WhatsApp answered with status {status}."
        return SendResult(outcome="retry", code=f"http_{status}", reason=reason, retry_after=seconds)
    return SendResult(outcome="failed", code=f"http_{status}", reason=f"WhatsApp refused it with status {status}.")


def _accepted(answer: Any) -> SendResult:
    messages = answer.get("messages") if isinstance(answer, dict) else None
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and isinstance(first.get("id"), str):
        return SendResult(outcome="sent", external_id=first["id"])
    return SendResult(outcome="in_doubt", code="no_id", reason="WhatsApp took it, but named no message id.")


def _refused(code: int, error: dict[str, Any]) -> SendResult:
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    reason = _PLAIN.get(code) or str(details or error.get("message") or "refused without a reason")
    if code in RETRY_AFTER:
        return SendResult(outcome="retry", code=str(code), reason=reason, retry_after=RETRY_AFTER[code])
    if code in _CHANNEL_DOWN:
        reason = f"The channel is out of order: {reason}"
    return SendResult(outcome="failed", code=str(code), reason=reason[:500])

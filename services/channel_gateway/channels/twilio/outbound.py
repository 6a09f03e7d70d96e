"""Sending through Twilio's Messages resource, and finding out about sends whose answer was lost."""

import json
import time
from typing import Any
from uuid import UUID

import aiohttp

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Template
from services.channel_gateway.channels import Part, SendResult
from services.channel_gateway.channels.twilio import errors, sdk, templates
from services.channel_gateway.channels.twilio.account import credentials, is_whatsapp, recipient, status_callback

_LISTED = 50
_FALLBACK_SECONDS = 3600.0


def fields(part: Part, account: Account, content_sid: str | None = None) -> dict[str, Any]:
    """The arguments of the SDK's `messages.create` for one part."""
    sender = credentials(account).sender
    wanted: dict[str, Any] = {"to": recipient(account, part.recipient)}
    wanted |= {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
    if part.template is not None:
        wanted["content_sid"] = content_sid or part.template.name
        if variables := _variables(part.template):
            wanted["content_variables"] = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    else:
        if body := _body(part, account):
            wanted["body"] = body
        if part.file is not None:
            wanted["media_url"] = [part.file.url]
    if callback := status_callback(account, part.correlation_id):
        wanted["status_callback"] = callback
    return wanted


def _body(part: Part, account: Account) -> str:
    return part.text if is_whatsapp(account) else part.plain or part.text


def _variables(template: Template) -> dict[str, str]:
    """A content template numbers its variables throughout: those of header, body and buttons, in this order."""
    numbered = enumerate((*template.header, *template.body, *template.buttons), start=1)
    return {**{str(number): value for number, value in numbered}, **template.named}


async def send(part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
    """One message. Never raises for what Twilio or the network does."""
    if part.reaction is not None:
        return SendResult(outcome="failed", code="no_reactions", reason="Reactions cannot be sent through Twilio.")
    client = sdk.client(account, http)
    content_sid = None
    if part.template is not None:
        found = await templates.content_sid(part.template, account, client)
        if isinstance(found, SendResult):
            return found
        content_sid = found
    try:
        message = await client.messages.create_async(**fields(part, account, content_sid))
    except sdk.REFUSED as error:
        return errors.refusal(*sdk.refused(error), retry_after=client.http_client.retry_after)
    except sdk.NOT_CONNECTED as error:
        return SendResult(outcome="retry", code="unreachable", reason=f"Twilio cannot be reached: {error}")
    except sdk.NO_ANSWER as error:
        reason = f"no answer from Twilio: {error or type(error).__name__}"
        return SendResult(outcome="in_doubt", code="no_answer", reason=reason)
    except sdk.UNREADABLE:
        return SendResult(outcome="in_doubt", code="no_id", reason="Twilio took it, but its answer cannot be read.")
    return _accepted(message)


def _accepted(message: Any) -> SendResult:
    if not isinstance(message.sid, str) or not message.sid:
        return SendResult(outcome="in_doubt", code="no_id", reason="Twilio took it, but named no message id.")
    code = message.error_code
    if message.status in {"failed", "undelivered"} and code:
        return errors.refusal(201, int(code), str(message.error_message or ""))
    return SendResult(outcome="sent", external_id=message.sid)


async def find(part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult | None:
    """Look for a send whose answer was lost among the messages to this person since ours was made.

    Twilio gives back neither our id nor the address of a file, so only text (a caption too) can be recognised; for
    what has none the answer is None. While Twilio cannot be asked, the send stays in doubt.
    """
    body = _body(part, account).strip()
    if part.template is not None or not body:
        return None
    client = sdk.client(account, http)
    sender = credentials(account).sender
    wanted = {"to": recipient(account, part.recipient)} | ({} if sender.startswith("MG") else {"from_": sender})
    try:
        listed = await client.messages.list_async(**wanted, limit=_LISTED, page_size=_LISTED)
    except (*sdk.REFUSED, *sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
        return SendResult(outcome="in_doubt", code="no_answer", reason=f"Twilio cannot be asked: {error}"[:300])
    since = _made_at(part.message_id)
    for message in listed:
        made = message.date_created
        ours = str(message.direction).startswith("outbound") and made is not None and made.timestamp() >= since
        has_file = str(message.num_media or "0") != "0"
        if ours and has_file == (part.file is not None) and str(message.body or "").strip() == body:
            return SendResult(outcome="sent", external_id=message.sid)
    return None


def _made_at(message_id: str) -> float:
    """When our message was made, in whole Unix seconds as Twilio counts them: its id is a UUID of version 7."""
    try:
        identity = UUID(message_id)
    except ValueError:
        return time.time() - _FALLBACK_SECONDS
    if identity.version != 7:
        return time.time() - _FALLBACK_SECONDS
    return float((identity.int >> 80) // 1000)

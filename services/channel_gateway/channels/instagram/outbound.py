"""Sending on Instagram: the JSON of one part, and what the answer says.

Protocol: Meta's Instagram Platform documentation, "Send messages", "Quick replies", "Button template".
"""

from collections.abc import Sequence
from typing import Any

import aiohttp

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Button, Signal
from services.channel_gateway import graph
from services.channel_gateway.channels import Part, SendResult
from services.channel_gateway.channels.instagram.errors import result

INSTAGRAM_HOST = "https://graph.instagram.com"
TEXT_BYTES = 1000
QUICK_REPLIES = 13
TITLE = 20
PAYLOAD = 1000
TEMPLATE_BUTTONS = 3
TEMPLATE_TEXT = 640
SEND_SECONDS = 10.0
SIGNAL_SECONDS = 4.0

_MEDIA = {"image": "image", "sticker": "image", "video": "video", "audio": "audio", "document": "file"}
_SIGNALS = {"typing": "typing_on", "read": "mark_seen"}
REACTIONS = {
    "❤": "love",
    "👍": "like",
    "😆": "laugh",
    "😂": "laugh",
    "😮": "wow",
    "😢": "sad",
    "😠": "angry",
    "😡": "angry",
}
"""The names of the reactions that Instagram has, by emoji (without its variation selector)."""


def host(account: Account) -> str:
    """Where the account's API is: Instagram's own, or Facebook's where the account is connected through a page."""
    return graph.HOST if account.settings.get("login") == "facebook" else INSTAGRAM_HOST


def address(account: Account, path: str) -> str:
    """The URL of a path of the account's API."""
    return graph.address(account.settings, path, host(account))


def token(account: Account) -> str:
    """The account's access token."""
    secret: str = account.credentials.access_token.get_secret_value()
    return secret


def request_body(part: Part, omit: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON of one part.

    Args:
        omit: `metadata` or `reply_to`, where the account's version of the API does not take it.

    Raises:
        ValueError: Instagram has nothing like it; the message says why.
    """
    body: dict[str, Any] = {"recipient": {"id": part.recipient}}
    if part.template:
        raise ValueError("Instagram has no approved templates.")
    if part.reaction:
        return body | _reaction(part)
    body["message"] = _message(part)
    if "metadata" not in omit:
        body["message"]["metadata"] = part.correlation_id
    if part.outside_window and part.author == "agent":
        body |= {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    if part.reply_to and "reply_to" not in omit:
        body["reply_to"] = {"mid": part.reply_to}
    return body


def _reaction(part: Part) -> dict[str, Any]:
    assert part.reaction
    target = {"message_id": part.reaction.target}
    if part.reaction.emoji is None:
        return {"sender_action": "unreact", "payload": target}
    name = REACTIONS.get(part.reaction.emoji.rstrip("\ufe0f"))
    if name is None:
        raise ValueError("Instagram has only these reactions: ❤️ 👍 😆 😮 😢 😠.")
    return {"sender_action": "react", "payload": {**target, "reaction": name}}


def _message(part: Part) -> dict[str, Any]:
    if part.file:
        kind = _MEDIA.get(part.file.kind, "file")
        return {"attachment": {"type": kind, "payload": {"url": part.file.url}}}
    if any(button.url for button in part.buttons):
        return _with_links(part.text, part.buttons)
    return _with_quick_replies(part.text, part.buttons)


def _with_links(text: str, buttons: Sequence[Button]) -> dict[str, Any]:
    """A button template; where its limits do not suffice, the links become lines of the text."""
    if 0 < len(text) <= TEMPLATE_TEXT and len(buttons) <= TEMPLATE_BUTTONS:
        payload = {"template_type": "button", "text": text, "buttons": [_button(button) for button in buttons]}
        return {"attachment": {"type": "template", "payload": payload}}
    lines = [f"{button.title}: {button.url}" for button in buttons if button.url]
    return _with_quick_replies("\n".join([text, *lines]).strip(), [button for button in buttons if not button.url])


def _button(button: Button) -> dict[str, str]:
    if button.url:
        return {"type": "web_url", "url": button.url, "title": button.title[:TITLE]}
    return {"type": "postback", "title": button.title[:TITLE], "payload": _payload(button)}


def _with_quick_replies(text: str, buttons: Sequence[Button]) -> dict[str, Any]:
    message: dict[str, Any] = {"text": text}
    if buttons:
        message["quick_replies"] = [
            {"content_type": "text", "title": button.title[:TITLE], "payload": _payload(button)}
            for button in buttons[:QUICK_REPLIES]
        ]
    return message


def _payload(button: Button) -> str:
    return (button.payload or button.title)[:PAYLOAD]


async def send(part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
    """One attempt to deliver a part."""
    try:
        body = request_body(part, account.settings.get("omit") or ())
    except ValueError as error:
        return SendResult(outcome="failed", code="unsupported", reason=str(error))
    answer = await _post(account, http, body, SEND_SECONDS)
    if not answer.ok:
        return result(answer, tagged="tag" in body)
    if part.reaction:
        return SendResult(outcome="sent")
    message_id = answer.object().get("message_id")
    if isinstance(message_id, str) and message_id:
        return SendResult(outcome="sent", external_id=message_id)
    return SendResult(outcome="in_doubt", code="no_id", reason="Instagram took it, but named no message id.")


async def signal(signal: Signal, account: Account, http: aiohttp.ClientSession) -> None:
    """Show typing, or mark the conversation as read; a sender action stands alone in its request."""
    if action := _SIGNALS.get(signal.kind):
        await _post(account, http, {"recipient": {"id": signal.recipient}, "sender_action": action}, SIGNAL_SECONDS)


async def _post(
    account: Account, http: aiohttp.ClientSession, body: dict[str, Any], seconds: float
) -> graph.GraphAnswer:
    return await graph.call(http, "POST", address(account, "me/messages"), token(account), body=body, seconds=seconds)

"""Bodies of messages to the WhatsApp Cloud API, and what its answers mean.

After Meta's pages on the endpoint `/{phone-number-id}/messages` and its message types.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from packages.core.domain.messages import Button
from services.channel_gateway.channels import File, Part, SendResult
from services.channel_gateway.channels.whatsapp.errors import meaning
from services.channel_gateway.graph import GraphAnswer

JSON = dict[str, Any]

BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
ROWS, ROW_TITLE, ROW_DESCRIPTION = 10, 24, 72
BODY = 1024
_LIST_BUTTON = "Options"
_NOTHING = "…"
_PHONE = re.compile(r"\+?\d{5,20}")
_USER_ID = re.compile(r"[A-Z]{2}\.[\w.]+")
_HEADERS = frozenset({"image", "video", "document"})
_TYPES = {
    "image": frozenset({"image/jpeg", "image/png"}),
    "video": frozenset({"video/mp4", "video/3gpp", "video/3gp"}),
    "audio": frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    "sticker": frozenset({"image/webp"}),
}
_UNCAPTIONED = frozenset({"audio", "sticker"})


def request_body(part: Part, media: Mapping[str, str] | None = None, template: JSON | None = None) -> JSON:
    """The JSON of one message.

    Args:
        media: the file as the platform is to find it: {id} of an upload, or {link}.
        template: the template with its components, where the part is one.
    """
    body: JSON = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(part.recipient),
        **_content(part, media or {}, template),
        "biz_opaque_callback_data": part.correlation_id,
    }
    if part.reply_to and body["type"] not in {"template", "reaction"}:
        body["context"] = {"message_id": part.reply_to}
    return body


def media_kind(file: File, caption: str) -> str:
    """The type under which a file goes. What WhatsApp does not show as what it is, or without its caption, goes as a
    document, so that nothing is lost."""
    plain_type = file.media_type.partition(";")[0].strip().lower()
    if plain_type not in _TYPES.get(file.kind, frozenset()) or (caption and file.kind in _UNCAPTIONED):
        return "document"
    return file.kind


def read_mark(message_id: str, *, typing: bool) -> JSON:
    """Marks a message and all before it as read; shows typing for up to 25 seconds, which cannot be had without."""
    mark: JSON = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
    return mark | {"typing_indicator": {"type": "text"}} if typing else mark


def _address(recipient: str) -> JSON:
    """A phone number, a business-scoped user id, or a group's id."""
    if _PHONE.fullmatch(recipient):
        return {"to": "+" + recipient.lstrip("+")}
    if _USER_ID.fullmatch(recipient):
        return {"recipient": recipient}
    return {"recipient_type": "group", "to": recipient}


def _content(part: Part, media: Mapping[str, str], template: JSON | None) -> JSON:
    if part.template:
        return {"type": "template", "template": template or {}}
    if part.reaction:
        reaction = {"message_id": part.reaction.target, "emoji": part.reaction.emoji or ""}
        return {"type": "reaction", "reaction": reaction}
    if part.buttons and (interactive := _interactive(part, media)):
        return {"type": "interactive", "interactive": interactive}
    if part.file:
        return _media(part.file, part.text, media)
    return {"type": "text", "text": {"body": _with_links(part.text, part.buttons), "preview_url": False}}


def _media(file: File, caption: str, media: Mapping[str, str]) -> JSON:
    kind = media_kind(file, caption)
    content: JSON = dict(media)
    if kind == "document":
        content["filename"] = file.filename
    if kind == "audio" and file.media_type.startswith("audio/ogg"):
        content["voice"] = True  # shown as a voice note; the platform demands Opus in Ogg anyway
    if caption:
        content["caption"] = caption
    return {"type": kind, kind: content}


def _interactive(part: Part, media: Mapping[str, str]) -> JSON | None:
    """A message with buttons; None where the platform has no form for it, and the text has to do."""
    replies = [button for button in part.buttons if not button.url]
    links = [button for button in part.buttons if button.url]
    header = _header(part.file, media) if part.file else {}
    if part.file and not header:
        return None
    if not replies:
        return _link(part.text, links[0], header) if len(links) == 1 and len(part.text) <= BODY else None
    text = _with_links(part.text, links) or _NOTHING
    titles = {button.title[:BUTTON_TITLE] for button in replies}
    if len(replies) <= BUTTONS and len(titles) == len(replies) and len(text) <= BODY:
        action: JSON = {"buttons": [_reply(button) for button in replies]}
        return {"type": "button", **header, "body": {"text": text}, "action": action}
    if header or len(replies) > ROWS:
        return None
    action = {"button": _LIST_BUTTON, "sections": [{"rows": [_row(button) for button in replies]}]}
    return {"type": "list", "body": {"text": text}, "action": action}


def _header(file: File, media: Mapping[str, str]) -> JSON:
    kind = media_kind(file, "")
    if kind not in _HEADERS:
        return {}
    content = {**media, "filename": file.filename} if kind == "document" else dict(media)
    return {"header": {"type": kind, kind: content}}


def _link(text: str, button: Button, header: JSON) -> JSON:
    parameters = {"display_text": button.title[:BUTTON_TITLE], "url": button.url}
    action = {"name": "cta_url", "parameters": parameters}
    return {"type": "cta_url", **header, "body": {"text": text or _NOTHING}, "action": action}


def _reply(button: Button) -> JSON:
    return {"type": "reply", "reply": {"id": button.payload or button.title, "title": button.title[:BUTTON_TITLE]}}


def _row(button: Button) -> JSON:
    row = {"id": button.payload or button.title, "title": _shortened(button.title, ROW_TITLE)}
    if button.description:
        row["description"] = _shortened(button.description, ROW_DESCRIPTION)
    return row


def _with_links(text: str, buttons: Sequence[Button]) -> str:
    """The text, and beneath it the links (and titles) that cannot be buttons."""
    lines = [f"{button.title}: {button.url}" if button.url else f"• {button.title}" for button in buttons]
    return "\n".join(line for line in (text, *lines) if line)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def result(answer: GraphAnswer) -> SendResult:
    """What an answer to a send means."""
    if answer.lost == "unreachable":
        return SendResult(outcome="retry", code="unreachable", reason=answer.reason[:500])
    if answer.lost:
        return SendResult(outcome="in_doubt", code="no_answer", reason=answer.reason[:500])
    if answer.ok:
        return _accepted(answer)
    if answer.error:
        return _refused(answer)
    code, reason = f"http_{answer.status}", answer.reason[:500]
    if answer.temporary:
        seconds = answer.retry_after if answer.retry_after is not None else 5.0
        return SendResult(outcome="retry", code=code, reason=reason, retry_after=seconds)
    return SendResult(outcome="failed", code=code, reason=reason)


def _accepted(answer: GraphAnswer) -> SendResult:
    messages = answer.object().get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and isinstance(first.get("id"), str) and first["id"]:
        return SendResult(outcome="sent", external_id=first["id"])
    return SendResult(outcome="in_doubt", code="no_id", reason="WhatsApp took it, but named no message id.")


def _refused(answer: GraphAnswer) -> SendResult:
    assert answer.error
    known = meaning(answer.error.code, answer.error.subcode)
    retry_after = None
    if known.outcome == "retry":
        retry_after = answer.retry_after if answer.retry_after is not None else known.retry_after
    return SendResult(
        outcome=known.outcome,
        code=str(answer.error.code),
        reason=(known.text or answer.error.text)[:500],
        retry_after=retry_after,
        scope=known.scope,
        account_down=known.account_down,
    )

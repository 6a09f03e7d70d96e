"""Twilio's webhooks to items. Pure; a webhook tells of one message or one status, and never of its time."""

import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from packages.core.domain.messages import Attachment, DeliveryStatus, InboundMessage, Sender, StatusUpdate
from services.channel_gateway.channels import Item, WebhookRequest
from services.channel_gateway.channels.twilio.errors import MEANINGS, explanation
from services.channel_gateway.channels.twilio.form import parameters

MESSAGE_ID = "message_id"
"""Name in the query of our status callback under which our id of the message comes back."""

_MEDIA_TYPES = mimetypes.MimeTypes()  # what Python knows by itself, the same on every machine
_MOST_MEDIA = 10
_MOST_RAW = 200
_STATUSES = {
    "accepted": DeliveryStatus.QUEUED,
    "scheduled": DeliveryStatus.QUEUED,
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.SENT,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "undelivered": DeliveryStatus.FAILED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
_INBOUND_STATUSES = frozenset({"", "received", "receiving"})
_FILE_NAME = re.compile(r"[^\r\n/\\]{1,200}\.[A-Za-z0-9]{1,8}")
_STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE"})
_TYPES = {
    "text": "text",
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
    "contacts": "contacts",
    "location": "location",
    "interactive": "interactive",
    "button": "postback",
}
_REFERRAL = {
    "Body": "body",
    "Headline": "headline",
    "SourceId": "source_id",
    "SourceType": "source_type",
    "SourceUrl": "source_url",
    "MediaId": "media_id",
    "MediaUrl": "media_url",
    "MediaContentType": "media_type",
    "CtwaClid": "ctwa_clid",
}
Parameters = Mapping[str, str]


def parse(request: WebhookRequest) -> list[Item]:
    """The items of a webhook.

    Raises:
        Unreadable: the body is neither a form nor JSON.
    """
    tracker = _tracker(request.url)
    return [_item(raw, tracker) for raw in parameters(request)]


def _tracker(url: str) -> str | None:
    """Our id of the message, from the query of the status callback that was called."""
    query = urlsplit(url).query
    if MESSAGE_ID not in query:
        return None
    return next((value for name, value in parse_qsl(query) if name == MESSAGE_ID), None)


def _item(raw: dict[str, Any], tracker: str | None) -> Item:
    """One event. NUL characters go, for PostgreSQL cannot hold them; unknown parameters stay in the raw item."""
    form = {
        name.replace("\0", ""): value.replace("\0", "") if isinstance(value, str) else str(value)
        for name, value in list(raw.items())[:_MOST_RAW]
        if isinstance(value, str | int | float)
    }
    form.pop(MESSAGE_ID, None)
    if sid := form.get("MessageSid") or form.get("SmsSid") or form.get("SmsMessageSid"):
        status = form.get("MessageStatus") or form.get("SmsStatus", "")
        if status.lower() in _INBOUND_STATUSES:
            return _message(sid, form)
        return _status(sid, status.lower(), form, tracker)
    if "Payload" in form and "Level" in form:
        return _alert(form)
    if "CallSid" in form or "ConversationSid" in form:
        return _ignored("other", form, "calls and conversations are not handled here")
    return _ignored("malformed", form, "malformed: the webhook names no message")


def _message(sid: str, form: Parameters) -> Item:
    address = form.get("From", "").strip()
    if not address:
        return _ignored("malformed", form, "malformed message: nobody sent it", account_id=_account(form, "To"))
    media = list(_media(form))
    kind = _kind(form, media)
    content = _content(kind, form, media)
    return Item(
        account_id=_account(form, "To"),
        external_id=sid,
        kind=kind if kind in {"preference", "call"} else "message",
        raw=dict(form),
        message=InboundMessage(
            channel_config_id="",
            external_id=sid,
            sender=_sender(address, form),
            kind=kind,
            reply_to=form.get("OriginalRepliedMessageSid") or None,
            **content,
        ),
    )


def _account(form: Parameters, side: str) -> str | None:
    """Our side of the message. With a messaging service there are two names for it: then the called URL decides."""
    address, service = form.get(side) or None, form.get("MessagingServiceSid") or None
    return None if address and service else address or service


def _sender(address: str, form: Parameters) -> Sender:
    """The address that answers go to. Beside it the business-scoped id, which stays when the number is hidden."""
    other = form.get("ExternalUserId", "")
    return Sender(
        external_id=address,
        name=form.get("ProfileName") or None,
        username=form.get("Username") or None,
        alternative_ids=(other,) if other and other != address else (),
    )


def _kind(form: Parameters, media: list[Attachment]) -> str:
    """Our kind of message. SMS name none, so there the first file decides."""
    address = form.get("From", "")
    stop = not media and not address.startswith("whatsapp:") and form.get("Body", "").strip().upper() in _STOP_WORDS
    if form.get("OptOutType") or stop:
        return "preference"
    if form.get("ButtonText") == "VOICE_CALL_REQUEST":
        return "call"
    if form.get("Latitude") and form.get("Longitude"):
        return "location"
    named = form.get("MessageType", "").lower()
    if form.get("ButtonPayload") or form.get("ButtonText"):
        return "interactive" if named == "interactive" else "postback"
    if form.get("ListId"):
        return "interactive"
    known = _TYPES.get(named)
    if media:
        if known in {"image", "audio", "video", "document", "sticker", "contacts"}:
            return known
        return "contacts" if _is_card(media[0]) else media[0].kind
    if known in {"image", "audio", "video", "document", "sticker", "contacts", "location"}:
        return "unsupported" if not form.get("Body") else "text"  # its content is missing
    if named and known is None and not form.get("Body"):
        return "unsupported"
    return known or "text"


def _content(kind: str, form: Parameters, media: list[Attachment]) -> dict[str, Any]:
    """The fields of InboundMessage that this kind fills."""
    text: str | None = form.get("Body") or None
    payload, extra = None, _extra(form)
    if kind == "document" and text and media and _names_the_file(text, media[0]):
        media[0] = _renamed(media[0], text)
        text = None
    elif kind == "sticker" and media:
        media[0] = Attachment(kind="sticker", url=media[0].url, media_type=media[0].media_type)
    elif kind in {"postback", "interactive"}:
        text = form.get("ButtonText") or form.get("ListTitle") or text
        payload = form.get("ButtonPayload") or form.get("ListId") or None
        if kind == "interactive":
            extra["type"] = "list_reply" if form.get("ListId") else "button_reply"
    elif kind == "call":
        text, payload = None, form.get("ButtonPayload") or None
        extra["type"] = "call_permission"
    elif kind == "preference":
        extra["opt_out"] = (form.get("OptOutType") or "STOP").upper()
    elif kind == "unsupported":
        extra["type"] = form.get("MessageType", "")
    return {"text": text, "payload": payload, "attachments": tuple(media), "extra": extra}


def _extra(form: Parameters) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if form.get("FrequentlyForwarded", "").lower() == "true":
        extra["forwarded"] = "many"
    elif form.get("Forwarded", "").lower() == "true":
        extra["forwarded"] = True
    if form.get("Latitude") and form.get("Longitude"):
        extra["location"] = _location(form)
    referral = {key: form[f"Referral{name}"] for name, key in _REFERRAL.items() if form.get(f"Referral{name}")}
    if referral:
        extra["referral"] = referral
    return extra


def _location(form: Parameters) -> dict[str, Any]:
    place: dict[str, Any] = {}
    for name in ("Latitude", "Longitude"):
        try:
            place[name.lower()] = float(form[name])
        except ValueError:
            place[name.lower()] = form[name]
    for name, key in (("Label", "name"), ("Address", "address")):
        if form.get(name):
            place[key] = form[name]
    return place


def _media(form: Parameters) -> Iterator[Attachment]:
    """The files, in their order; NumMedia is only a hint."""
    for number in range(_MOST_MEDIA):
        if url := form.get(f"MediaUrl{number}"):
            media_type = form.get(f"MediaContentType{number}") or None
            yield Attachment(kind=_kind_of(media_type), url=url, media_type=media_type)


def _kind_of(media_type: str | None) -> str:
    family = (media_type or "").partition("/")[0].lower()
    return family if family in {"image", "audio", "video"} else "document"


def _is_card(attachment: Attachment) -> bool:
    return (attachment.media_type or "").lower() in {"text/vcard", "text/x-vcard", "text/directory"}


def _names_the_file(text: str, attachment: Attachment) -> bool:
    """Whether the body of a document is its file name, which Twilio puts there when the person wrote no caption."""
    if not _FILE_NAME.fullmatch(text):
        return False
    guessed, _ = _MEDIA_TYPES.guess_type(text)
    given = (attachment.media_type or "").partition(";")[0].strip().lower()
    return " " not in text or guessed == given


def _renamed(attachment: Attachment, filename: str) -> Attachment:
    return Attachment(kind=attachment.kind, url=attachment.url, media_type=attachment.media_type, filename=filename)


def _status(sid: str, status: str, form: Parameters, tracker: str | None) -> Item:
    account_id, known = _account(form, "From"), _STATUSES.get(status)
    code = form.get("ErrorCode", "")
    external_id = f"{sid}:{status}" + (f":{code}" if code and code != "0" else "")
    if known is None:
        reason = f"unknown status {status[:50]!r}"
        return _ignored("status", form, reason, account_id=account_id, external_id=external_id)
    number = int(code) if code.isdecimal() and len(code) < 10 else 0
    if known is DeliveryStatus.FAILED and number in MEANINGS and MEANINGS[number].kind == "held":
        known = DeliveryStatus.HELD
    failed = known in {DeliveryStatus.FAILED, DeliveryStatus.HELD}
    message = "The message was canceled." if status == "canceled" else form.get("ErrorMessage")
    return Item(
        account_id=account_id,
        external_id=external_id,
        kind="status",
        raw=dict(form),
        status=StatusUpdate(
            external_id=sid,
            status=known,
            recipient=form.get("To") or None,
            correlation_id=tracker,
            error_code=str(number) if failed and number else None,
            error_message=explanation(number, message) if failed else None,
        ),
    )


def _alert(form: Parameters) -> Item:
    """What Twilio's debugger reports of the account, where its webhook is set to this address too."""
    try:
        payload = msgspec.json.decode(form["Payload"])
    except (msgspec.DecodeError, RecursionError):
        payload = None
    code = payload.get("error_code") if isinstance(payload, dict) else None
    number = int(code) if isinstance(code, str | int) and str(code).isdecimal() and len(str(code)) < 10 else 0
    why = f"Twilio reports error {number}: {explanation(number)}" if number in MEANINGS else f"Twilio reports: {code}"
    sid = form.get("Sid") or _digest(form)
    return _ignored("channel_error", form, why[:500], external_id=f"alert:{sid}")


def _ignored(
    kind: str, form: Parameters, reason: str, *, account_id: str | None = None, external_id: str | None = None
) -> Item:
    return Item(
        account_id=account_id,
        external_id=external_id or f"{kind}:{_digest(form)}",
        kind=kind,
        ignored=reason,
        raw=dict(form),
    )


def _digest(form: Parameters) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(form.items()))).hexdigest()[:32]

"""From the body of an Instagram webhook to items, each on its own: a bad one never takes its neighbours along.

Protocol: Meta's Instagram Platform documentation, "Webhooks" and "Messaging"; Messenger Platform, "Webhook events".
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from packages.core.domain.messages import DeliveryStatus, InboundMessage, Sender, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.instagram.content import content, text
from services.channel_gateway.channels.instagram.items import Happened, ignored, malformed, moment
from services.channel_gateway.channels.instagram.payloads import JSON, Comment, Event, Message

_TEST_ACCOUNT = "0"
_TEST = "a test event of Meta's dashboard, of no account"
_COMMENTS = {"comments": "comment", "live_comments": "comment", "mentions": "mention"}
_THREAD_CONTROL = ("pass_thread_control", "take_thread_control", "request_thread_control")


def parse(body: bytes) -> list[Item]:
    """Everything in a webhook's body, in its order.

    Raises:
        Unreadable: the body is not a JSON object.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The webhook is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable("The webhook is not a JSON object.")
    if document.get("object") != "instagram":
        reason = f"events of the object {str(document.get('object'))[:100]!r} are not Instagram's"
        return [ignored(None, "other", document, reason)]
    entries = document.get("entry")
    if not isinstance(entries, list):
        return [malformed(None, "webhook", document, "it has no list of entries")]
    return [item for entry in entries for item in _entry(entry)]


def _entry(entry: Any) -> Iterator[Item]:
    account_id = text(entry.get("id")) if isinstance(entry, dict) else None
    if account_id is None:
        yield malformed(None, "entry", entry, "it names no account")
        return
    for key, read in (("messaging", _present), ("standby", _standby), ("changes", _change)):
        found = entry.get(key)
        if isinstance(found, list):
            for raw in found:
                yield _one(account_id, entry, raw, read)
        elif found is not None:
            yield malformed(account_id, key, entry, "it is no list")


def _one(account_id: str, entry: JSON, raw: Any, read: Callable[[str, JSON, JSON], Item]) -> Item:
    if not isinstance(raw, dict):
        return malformed(account_id, "event", raw, "it is no object")
    if account_id == _TEST_ACCOUNT:
        return ignored(None, "other", raw, _TEST)
    try:
        return read(account_id, entry, raw)
    except msgspec.ValidationError as error:
        return malformed(account_id, "event", raw, error)


def _present(account_id: str, _entry: JSON, raw: JSON) -> Item:
    return _event(account_id, raw, standby=False)


def _standby(account_id: str, _entry: JSON, raw: JSON) -> Item:
    """An event of a conversation that another app takes care of."""
    return _event(account_id, raw, standby=True)


def _event(account_id: str, raw: JSON, *, standby: bool) -> Item:
    event = msgspec.convert(raw, Event)
    sender = text(event.sender.id) if event.sender else None
    recipient = text(event.recipient.id) if event.recipient else None
    if account_event := _of_account(account_id, event, raw):
        return account_event
    by_us = sender == account_id or bool(event.message and event.message.is_echo)
    person = recipient if by_us else sender
    if person is None or person == account_id:
        return malformed(account_id, "event", raw, "it names no person")
    return _read(Happened(account_id, event, raw, person, by_us, standby))


def _read(happened: Happened) -> Item:
    event = happened.event
    if event.message:
        return _message(happened, event.message)
    for value, reader in (
        (event.message_edit, _edit),
        (event.reaction, _reaction),
        (event.postback, _postback),
        (event.read, _seen),
        (event.referral, _referral),
        (event.optin, _optin),
    ):
        if value is not None:
            return reader(happened)
    for name in _THREAD_CONTROL:
        if (control := getattr(event, name)) is not None:
            return happened.item(happened.own_id(name), "thread_control", extra={"type": name, **control})
    return ignored(happened.account_id, "other", happened.raw, "an event of a kind that is not handled")


def _message(happened: Happened, message: Message) -> Item:
    mid = message.mid or None
    if message.is_deleted:
        if mid is None:
            return malformed(happened.account_id, "deletion", happened.raw, "it names no message")
        return happened.item(happened.own_id("delete", mid), "delete", target=mid)
    if happened.by_us and mid and _is_ours(message.metadata):
        return _status(happened, f"{mid}:sent", mid, DeliveryStatus.SENT, correlation_id=message.metadata)
    kind, fields = content(message)
    return happened.item(mid or happened.own_id("message"), kind, **fields)


def _is_ours(metadata: str | None) -> bool:
    """Whether an echo's metadata is a correlation id of ours; other apps on the account set their own."""
    try:
        return bool(metadata) and bool(UUID(str(metadata).partition(":")[0]))
    except ValueError:
        return False


def _status(happened: Happened, own_id: str, mid: str, status: DeliveryStatus, **more: Any) -> Item:
    return Item(
        account_id=happened.account_id,
        external_id=own_id,
        kind="status",
        raw=happened.raw,
        status=StatusUpdate(external_id=mid, status=status, recipient=happened.person, at=happened.at, **more),
    )


def _edit(happened: Happened) -> Item:
    edit = happened.event.message_edit
    assert edit
    numbered = edit.num_edit is not None
    own_id = happened.own_id("edit", f"{edit.mid}:{edit.num_edit}" if numbered else None)
    extra: JSON = {"edit_number": edit.num_edit} if numbered else {}
    return happened.item(own_id, "edit", target=edit.mid, text=edit.text, extra=extra)


def _reaction(happened: Happened) -> Item:
    reaction = happened.event.reaction
    assert reaction
    extra: JSON = {"removed": True} if reaction.action == "unreact" else {}
    if reaction.reaction:
        extra["name"] = reaction.reaction
    shown = None if extra.get("removed") else reaction.emoji or _EMOJI.get(reaction.reaction or "")
    # A person may react, take it back and react again: only the whole event tells one time from another.
    return happened.item(happened.own_id("reaction"), "reaction", target=reaction.mid, text=shown, extra=extra)


_EMOJI = {"love": "❤️", "like": "👍", "laugh": "😆", "wow": "😮", "sad": "😢", "angry": "😠"}


def _postback(happened: Happened) -> Item:
    postback = happened.event.postback
    assert postback
    extra = {"referral": postback.referral} if postback.referral else {}
    own_id = postback.mid or happened.own_id("postback")
    return happened.item(own_id, "postback", text=postback.title, payload=postback.payload, extra=extra)


def _seen(happened: Happened) -> Item:
    read = happened.event.read
    assert read
    if happened.by_us or not read.mid:
        reason = "our own side has read the conversation" if happened.by_us else "malformed read: it names no message"
        return ignored(happened.account_id, "other", happened.raw, reason)
    return _status(happened, f"{read.mid}:read", read.mid, DeliveryStatus.READ, covers_earlier=True)


def _referral(happened: Happened) -> Item:
    extra = {"referral": happened.event.referral}
    return happened.item(happened.own_id("referral"), "referral", extra=extra)


def _optin(happened: Happened) -> Item:
    optin = happened.event.optin
    assert optin is not None
    # The token in it would let anybody write who holds it and the account's own.
    shown = {key: value for key, value in optin.items() if not key.endswith("_token")}
    fields: JSON = {"payload": text(optin.get("payload")), "extra": {"optin": shown}}
    return happened.item(happened.own_id("optin"), "optin", **fields)


def _of_account(account_id: str, event: Event, raw: JSON) -> Item | None:
    """Events of the account itself, which no person takes part in."""
    if event.app_roles is not None:
        return ignored(account_id, "account", raw, "The roles of the apps that share the account's inbox have changed.")
    if event.policy_enforcement is not None:
        action = text(event.policy_enforcement.get("action")) or "an action"
        reason = text(event.policy_enforcement.get("reason")) or "none given"
        return ignored(account_id, "account", raw, f"Meta enforces its policy on the account: {action} ({reason}).")
    return None


def _change(account_id: str, entry: JSON, raw: JSON) -> Item:
    """An item of `changes`: a comment, or a messaging event in the shape that some tests of the dashboard have."""
    field, value = text(raw.get("field")) or "", raw.get("value")
    if field in _COMMENTS:
        return _comment(account_id, entry, raw)
    if isinstance(value, dict) and "sender" in value:
        return _event(account_id, value, standby=field == "standby")
    return ignored(account_id, "other", raw, f"events of the field {field[:100]!r} are not handled")


def _comment(account_id: str, entry: JSON, raw: JSON) -> Item:
    comment = msgspec.convert(raw.get("value"), Comment)
    field = _COMMENTS[str(raw["field"])]
    media = text((comment.media or {}).get("id")) or text(comment.media_id)
    own_id = text(comment.id) or text(comment.comment_id) or media
    author = text(comment.author.id) if comment.author else None
    if own_id is None:
        return malformed(account_id, "comment", raw, "it has no id")
    if author is None:
        reason = "somebody mentioned the account in a post or a comment; Instagram does not say who, look there"
        return ignored(account_id, "comment", raw, reason, f"{field}:{own_id}")
    if author == account_id:
        return ignored(account_id, "comment", raw, "a comment of the account itself", own_id)
    extra = {"type": str(raw["field"]), **({"media": comment.media} if comment.media else {"media": {"id": media}})}
    return Item(
        account_id=account_id,
        external_id=own_id,
        kind="comment",
        raw=raw,
        message=InboundMessage(
            channel_config_id="",
            external_id=own_id,
            sender=Sender(external_id=author, username=comment.author.username if comment.author else None),
            kind="comment",
            text=comment.text,
            reply_to=text(comment.parent_id),
            sent_at=moment(entry.get("time")),
            extra=extra,
        ),
    )

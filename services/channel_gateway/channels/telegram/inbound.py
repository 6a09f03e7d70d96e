"""Telegram's updates as items. Pure; what nobody understands is accounted for: an error would hold up the chat."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from packages.core.domain.messages import DeliveryStatus, InboundMessage, Sender, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.telegram import addresses
from services.channel_gateway.channels.telegram.content import content, label
from services.channel_gateway.channels.telegram.envelope import Envelope, envelope, person, speaker
from services.channel_gateway.channels.telegram.reading import (
    JSON,
    found,
    identifier,
    moment,
    number,
    obj,
    objects,
    text,
)

_NO_WORDS = "it is not about what a customer says"
_IGNORED = {
    "message_reaction_count": "anonymous reactions on a channel's post",
    "inline_query": "inline queries are not answered",
    "chosen_inline_result": "inline queries are not answered",
    "shipping_query": "payments are not handled",
    "pre_checkout_query": "payments are not handled",
    "purchased_paid_media": "payments are not handled",
    "poll": "polls are not handled",
    "poll_answer": "polls are not handled",
    "chat_join_request": "requests to join a group are not handled",
    "guest_message": "messages in chats of which the bot is not a member are not handled",
}


def parse(body: bytes) -> list[Item]:
    """Every item of an update: one, but for several deleted messages.

    Raises:
        Unreadable: it is not a JSON object.
    """
    try:
        update = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The webhook's body is not JSON: {error}") from error
    if not isinstance(update, dict):
        raise Unreadable("The webhook's body is not a JSON object.")
    number_ = number(update.get("update_id"))
    own = f"update:{number_}" if number_ is not None else f"body:{hashlib.sha256(body).hexdigest()[:32]}"
    kinds = [kind for kind in update if kind != "update_id"]
    items: list[Item] = []
    for kind in kinds:
        delivery = own if len(kinds) == 1 else f"{own}:{kind[:50]}"
        items.extend(_update(kind, update[kind], delivery, {"update_id": update.get("update_id"), kind: update[kind]}))
    return items or [_ignored(own, "other", update, "the update holds nothing")]


def _update(kind: str, value: Any, delivery: str, raw: JSON) -> Iterator[Item]:
    reader = _READERS.get(kind)
    if reader is None:
        reason = _IGNORED.get(kind, _NO_WORDS)
        yield _ignored(delivery, "other", raw, f"updates of the kind {kind[:50]!r} are not handled: {reason}")
    elif not isinstance(value, dict):
        yield _ignored(delivery, "malformed", raw, f"malformed update: {kind} is no object")
    else:
        yield from reader(value, delivery, raw)


def _message(message: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """A new message; its id is the chat's and its number there."""
    head = envelope(message)
    if obj(message.get("chat")).get("type") == "channel":
        yield from _channel_post(message, delivery, raw)
    elif isinstance(head, str):
        yield _ignored(delivery, "malformed", raw, f"malformed message: {head}")
    elif head.own:
        # The bot spoke in the business account's name; Telegram repeats it for the sake of the other devices.
        yield Item(
            account_id=None,
            external_id=delivery,
            kind="status",
            raw=raw,
            status=StatusUpdate(
                external_id=head.external_id,
                status=DeliveryStatus.SENT,
                recipient=head.conversation_id,
                at=moment(message.get("date")),
            ),
        )
    elif "migrate_from_chat_id" in message:
        yield _ignored(delivery, "other", raw, "the group's old conversation is told of its new address")
    else:
        yield _item(head.external_id, head, message, raw, head.external_id)


def _edited(message: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """A message changed, or a live location moved: the same number, so the update's id tells repeats apart."""
    head = envelope(message)
    if isinstance(head, str):
        yield _ignored(delivery, "malformed", raw, f"malformed edit: {head}")
    elif head.own:
        yield _ignored(delivery, "other", raw, "the bot changed its own message")
    else:
        yield _item(delivery, head, message, raw, head.external_id, edit=True)


def _item(external_id: str, head: Envelope, message: JSON, raw: JSON, target: str, *, edit: bool = False) -> Item:
    read = content(message)
    kind = "edit" if edit else read.kind
    event = kind if kind in {"edit", "system", "unsupported"} else "message"
    words, extra = _command(read.text) if read.kind == "text" else (None, {})
    if edit:
        extra = {**extra, **found(type=read.kind if read.kind != "text" else None)}
    return Item(
        account_id=None,
        external_id=external_id,
        kind="echo" if head.echo else event,
        raw=raw,
        message=InboundMessage(
            channel_config_id="",
            external_id=external_id,
            sender=head.sender,
            kind=kind,
            text=words or read.text,
            payload=read.payload,
            attachments=read.attachments,
            reply_to=head.reply_to,
            target=target if edit else None,
            conversation_id=head.conversation_id,
            addressed=head.addressed or "command" in extra,
            moved_to=read.moved_to,
            echo=head.echo,
            sent_at=moment(message.get("edit_date")) if edit else moment(message.get("date")),
            extra={**head.extra, **read.extra, **extra},
        ),
    )


def _command(words: str | None) -> tuple[str | None, JSON]:
    """Text and extra of a command. What stands behind /start is where the customer came from, not what they say."""
    if not words or not words.startswith("/"):
        return words, {}
    head, _, arguments = words.partition(" ")
    command, _, bot = head.partition("@")
    if len(command) < 2 or not command[1:].replace("_", "").isalnum() or not command.isascii():
        return words, {}
    arguments = arguments.strip()
    extra = found(command=command, command_args=arguments, command_bot=bot)
    if command == "/start" and arguments:
        extra |= {"ref": arguments, "referral": {"ref": arguments, "source": "link"}}
        return command, extra
    return words, extra


def _callback(query: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """A tap on an inline button. Its words stand in the message's own keyboard, where that is shown."""
    sender = person(obj(query.get("from")))
    if sender is None:
        yield _ignored(delivery, "malformed", raw, "malformed tap: nobody made it")
        return
    message = obj(query.get("message"))
    head = envelope(message) if message else ""
    target = None if isinstance(head, str) else head.external_id
    payload = text(query.get("data")) or text(query.get("game_short_name"))
    extra = found(
        callback_query_id=identifier(query.get("id")),
        inline_message_id=text(query.get("inline_message_id")),
        inaccessible=bool(message) and message.get("date") == 0,
    )
    yield Item(
        account_id=None,
        external_id=delivery,
        kind="message",
        raw=raw,
        message=InboundMessage(
            channel_config_id="",
            external_id=delivery,
            sender=sender,
            kind="postback",
            text=label(message.get("reply_markup"), payload),
            payload=payload,
            reply_to=target,
            conversation_id=None if isinstance(head, str) else head.conversation_id,
            addressed=True,
            extra=extra,
        ),
    )


def _reaction(change: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """A person's reactions on a message, as whole sets before and after."""
    chat = obj(change.get("chat"))
    chat_id, number_ = identifier(chat.get("id")), number(change.get("message_id"))
    sender = person(obj(change.get("user"))) or speaker(obj(change.get("actor_chat")), chat)
    if chat_id is None or number_ is None or sender is None:
        yield _ignored(delivery, "malformed", raw, "malformed reaction: without message or person")
        return
    before, after = _emojis(change.get("old_reaction")), _emojis(change.get("new_reaction"))
    added = [emoji for emoji in after if emoji not in before]
    yield _event(
        delivery,
        raw,
        "reaction",
        sender,
        chat,
        sent_at=moment(change.get("date")),
        text="".join(added or after) or None,
        target=addresses.message_id(chat_id, number_),
        extra=found(removed=not after, reactions=after, before=before),
    )


def _emojis(reactions: Any) -> list[str]:
    shown = {"custom_emoji": "[custom emoji]", "paid": "⭐"}
    kinds = [text(item.get("emoji")) or shown.get(str(item.get("type"))) for item in objects(reactions)]
    return [emoji for emoji in kinds if emoji]


def _membership(change: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """The bot, or somebody in a group, came, went, or got other rights. In a private chat: blocked or unblocked it."""
    chat, actor = obj(change.get("chat")), person(obj(change.get("from")))
    new, old = obj(change.get("new_chat_member")), obj(change.get("old_chat_member"))
    status, before = text(new.get("status")), text(old.get("status"))
    if actor is None or status is None or identifier(chat.get("id")) is None:
        yield _ignored(delivery, "malformed", raw, "malformed membership: without person, chat or status")
        return
    if chat.get("type") == "channel":
        yield _ignored(delivery, "other", raw, "members of a channel are not customers")
        return
    private = chat.get("type") == "private"
    member = obj(new.get("user"))
    if private:
        shown = "The customer blocked the bot." if status == "kicked" else "The customer unblocked the bot."
    else:
        shown = f"{(person(member) or actor).name or 'Somebody'}: {_STATUSES.get(status, status[:50])}."
    extra = {"status": status, **found(before=before, member=identifier(member.get("id")))}
    if private:
        extra["blocked"] = status == "kicked"
    sent_at = moment(change.get("date"))
    yield _event(delivery, raw, "member", actor, chat, sent_at=sent_at, text=shown, extra=extra)


_STATUSES = {
    "creator": "owns the group now",
    "administrator": "is an administrator now",
    "member": "is a member now",
    "restricted": "may not do everything any more",
    "left": "has left",
    "kicked": "was removed",
}


def _event(delivery: str, raw: JSON, kind: str, sender: Sender, chat: JSON, **fields: Any) -> Item:
    """Something that happened in a chat, without a number of its own."""
    chat_id = identifier(chat.get("id"))
    group = None if chat.get("type") == "private" else chat_id
    message = InboundMessage(
        channel_config_id="", external_id=delivery, sender=sender, kind=kind, conversation_id=group, **fields
    )
    return Item(account_id=None, external_id=delivery, kind=kind, raw=raw, message=message)


def _business_deleted(deleted: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """Messages deleted in a business account's chat: the only deletions that Telegram tells of."""
    chat = obj(deleted.get("chat"))
    chat_id, connection = identifier(chat.get("id")), text(deleted.get("business_connection_id"))
    sender, numbers = person(chat), deleted.get("message_ids")
    known = [item for item in map(number, numbers) if item is not None] if isinstance(numbers, list) else []
    if chat_id is None or sender is None or not known:
        yield _ignored(delivery, "malformed", raw, "malformed deletion: without chat or messages")
        return
    for number_ in known:
        external_id = f"{delivery}:{number_}"
        message = InboundMessage(
            channel_config_id="",
            external_id=external_id,
            sender=sender,
            kind="delete",
            target=addresses.message_id(chat_id, number_, connection),
            conversation_id=addresses.write(chat_id, business=connection),
            addressed=True,
            extra=found(business_connection=connection),
        )
        yield Item(account_id=None, external_id=external_id, kind="delete", raw=raw, message=message)


def _business_connection(connection: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    """Somebody connected the bot to their business account, changed its rights, or ended it."""
    owner = person(obj(connection.get("user")))
    who = (owner.name or owner.external_id) if owner else "somebody"
    if connection.get("is_enabled") is not True:
        reason = f"the Telegram business account of {who} is no longer connected to the bot"
    elif obj(connection.get("rights")).get("can_reply") is True or connection.get("can_reply") is True:
        reason = f"the Telegram business account of {who} is connected; the bot may reply in its chats"
    else:
        reason = f"the Telegram business account of {who} is connected, but the bot may not reply in its chats"
    yield _ignored(delivery, "account", raw, reason)


def _channel_post(post: JSON, delivery: str, raw: JSON) -> Iterator[Item]:
    yield _ignored(delivery, "other", raw, "a post in a channel, which no customer wrote")


_READERS: dict[str, Callable[[JSON, str, JSON], Iterator[Item]]] = {
    "message": _message,
    "edited_message": _edited,
    "business_message": _message,
    "edited_business_message": _edited,
    "deleted_business_messages": _business_deleted,
    "business_connection": _business_connection,
    "channel_post": _channel_post,
    "edited_channel_post": _channel_post,
    "callback_query": _callback,
    "message_reaction": _reaction,
    "my_chat_member": _membership,
    "chat_member": _membership,
}


def _ignored(external_id: str, kind: str, raw: JSON, reason: str) -> Item:
    return Item(account_id=None, external_id=external_id, kind=kind, ignored=reason[:500], raw=raw)

"""What a Telegram message holds, in our words. Pure; nothing that Telegram may leave out or add is an error."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from packages.core.domain.messages import Attachment
from services.channel_gateway.channels.telegram.reading import JSON, found, identifier, name, number, obj, objects, text


@dataclass(frozen=True, slots=True)
class Content:
    """Kind and fields of an InboundMessage, as far as they come from the content."""

    kind: str
    text: str | None = None
    payload: str | None = None
    attachments: tuple[Attachment, ...] = ()
    moved_to: str | None = None
    extra: JSON = field(default_factory=dict)


def content(message: JSON) -> Content:
    """The content of a message of any kind; `unsupported` where nothing known is in it."""
    if words := text(message.get("text")):
        return Content("text", words)
    for key, reader in _READERS.items():
        if key in message and (read := reader(message)):
            return read
    for key, (kind, words) in {**_PLACEHOLDERS, **_SERVICE}.items():
        if key in message:
            return Content(kind, words, extra={"type": key})
    if caption := text(message.get("caption")):
        return Content("text", caption)
    return _unknown(message)


def _file(key: str, kind: str, media_type: str | None = None) -> Callable[[JSON], Content | None]:
    """A reader of one kind of file. `media_type` is what it is where Telegram does not say so."""

    def read(message: JSON) -> Content | None:
        file = obj(message.get(key))
        attachment = _attachment(file, kind, text(file.get("mime_type")) or media_type)
        if attachment is None:
            return None
        flags: JSON = {} if key == kind else {key: True}
        extra = flags | found(duration=number(file.get("duration")), unique_id=text(file.get("file_unique_id")))
        return Content(kind, text(message.get("caption")), attachments=(attachment,), extra=extra)

    return read


def _attachment(file: JSON, kind: str, media_type: str | None) -> Attachment | None:
    file_id = text(file.get("file_id"))
    if file_id is None:
        return None
    return Attachment(
        kind=kind,
        external_id=file_id,
        media_type=media_type,
        filename=text(file.get("file_name")),
        size=number(file.get("file_size")),
    )


def _photo(message: JSON) -> Content | None:
    """One picture in several sizes, in any order: the largest."""
    sizes = [size for size in objects(message.get("photo")) if text(size.get("file_id"))]
    if not sizes:
        return None
    attachment = _attachment(max(sizes, key=_extent), "image", "image/jpeg")
    assert attachment
    extra = {"live_photo": True} if "live_photo" in message else {}
    return Content("image", text(message.get("caption")), attachments=(attachment,), extra=extra)


def _extent(size: JSON) -> tuple[int, int]:
    area = (number(size.get("width")) or 0) * (number(size.get("height")) or 0)
    return area, number(size.get("file_size")) or 0


def _live_photo(message: JSON) -> Content | None:
    """A picture with a moving second: the picture. Telegram repeats it in `photo`, for bots that know no more."""
    live = obj(message.get("live_photo"))
    return _photo({"photo": live.get("photo"), **message}) or _file("live_photo", "video", "video/mp4")(message)


def _sticker(message: JSON) -> Content | None:
    sticker = obj(message.get("sticker"))
    animated, moving = sticker.get("is_animated") is True, sticker.get("is_video") is True
    media_type = "application/x-tgsticker" if animated else "video/webm" if moving else "image/webp"
    attachment = _attachment(sticker, "sticker", media_type)
    if attachment is None:
        return None
    emoji = text(sticker.get("emoji"))
    extra = found(animated=animated or moving, emoji=emoji, unique_id=text(sticker.get("file_unique_id")))
    return Content("sticker", emoji, attachments=(attachment,), extra=extra)


def _location(message: JSON) -> Content | None:
    """A place. A venue holds its location and repeats it beside itself; a live one moves, told by edits."""
    venue = obj(message.get("venue"))
    place = obj(venue.get("location")) or obj(message.get("location"))
    if not place:
        return None
    known = found(name=text(venue.get("title")), address=text(venue.get("address")))
    where = {key: place.get(key) for key in ("latitude", "longitude")} | known
    live = number(place.get("live_period"))
    return Content("location", extra={"location": where} | found(live=bool(live), live_period=live))


def _contact(message: JSON) -> Content | None:
    card = obj(message.get("contact"))
    phone = text(card.get("phone_number"))
    if not (phone or name(card)):
        return None
    user_id = identifier(card.get("user_id"))
    shown = found(name=name(card), phones=[phone] if phone else [], user_id=user_id, vcard=text(card.get("vcard")))
    own = user_id is not None and user_id == identifier(obj(message.get("from")).get("id"))
    return Content("contacts", extra={"contacts": [shown]} | found(own_number=own))


def _web_app(message: JSON) -> Content | None:
    """What a mini app sends. A client can send anything here."""
    form = obj(message.get("web_app_data"))
    data = text(form.get("data"))
    return Content("interactive", text(form.get("button_text")), data, extra={"type": "web_app_data"}) if data else None


def _poll(message: JSON) -> Content | None:
    poll = obj(message.get("poll"))
    options = [words for option in objects(poll.get("options")) if (words := text(option.get("text")))]
    question = text(poll.get("question")) or "without a question"
    shown = f"Poll: {question}" + (f" ({' / '.join(options)})" if options else "")
    return Content("unsupported", shown, extra={"type": "poll", "question": question, "options": options})


def _dice(message: JSON) -> Content | None:
    dice = obj(message.get("dice"))
    shown = f"{text(dice.get('emoji')) or 'Dice'} {number(dice.get('value')) or ''}".strip()
    return Content("unsupported", shown, extra={"type": "dice"} | found(emoji=text(dice.get("emoji"))))


def _game(message: JSON) -> Content | None:
    title = text(obj(message.get("game")).get("title")) or "unnamed"
    return Content("unsupported", f"Game: {title}", extra={"type": "game"})


def _migrated(message: JSON) -> Content | None:
    """A group became a supergroup, under a new id for good."""
    address = identifier(message.get("migrate_to_chat_id"))
    extra = {"type": "migrate_to_chat_id"}
    return Content("system", "The group has a new address.", moved_to=address, extra=extra) if address else None


def _joined(message: JSON) -> Content | None:
    people = objects(message.get("new_chat_members"))
    return _members(people, "new_chat_members", "joined the group")


def _left(message: JSON) -> Content | None:
    return _members([obj(message.get("left_chat_member"))], "left_chat_member", "left the group")


def _members(people: list[JSON], key: str, what: str) -> Content:
    names = ", ".join(filter(None, map(name, people))) or "Somebody"
    members = [member for person in people if (member := identifier(person.get("id")))]
    return Content("system", f"{names} {what}.", extra={"type": key, "members": members})


def _unknown(message: JSON) -> Content:
    """Something of a kind that came after this was written, or nothing at all."""
    new = next((key for key in message if key not in _ENVELOPE), None)
    shown = f"A message of a kind that cannot be shown ({new[:50]})." if new else "A message without content."
    return Content("unsupported", shown, extra={"type": new[:50]} if new else {})


# In the order of trying: an animation comes as a document as well, a venue as a location, a live photo as a photo.
_READERS: dict[str, Callable[[JSON], Content | None]] = {
    "animation": _file("animation", "video", "video/mp4"),
    "live_photo": _live_photo,
    "photo": _photo,
    "video": _file("video", "video", "video/mp4"),
    "audio": _file("audio", "audio", "audio/mpeg"),
    "voice": _file("voice", "audio", "audio/ogg"),
    "video_note": _file("video_note", "video", "video/mp4"),
    "document": _file("document", "document"),
    "sticker": _sticker,
    "venue": _location,
    "location": _location,
    "contact": _contact,
    "web_app_data": _web_app,
    "poll": _poll,
    "dice": _dice,
    "game": _game,
    "migrate_to_chat_id": _migrated,
    "new_chat_members": _joined,
    "left_chat_member": _left,
}
# Content that bots are not given, or that means nothing outside Telegram.
_PLACEHOLDERS = {
    key: ("unsupported", words)
    for key, words in {
        "story": "A story was forwarded; Telegram does not show it to bots.",
        "paid_media": "Media for sale.",
        "checklist": "A checklist.",
        "giveaway": "A giveaway.",
        "giveaway_winners": "The winners of a giveaway.",
        "invoice": "An invoice.",
        "gift": "A gift.",
        "unique_gift": "A gift.",
        "rich_message": "A message with a layout that cannot be shown.",
    }.items()
}
_SERVICE = {
    key: ("system", words)
    for key, words in {
        "new_chat_title": "The group's title was changed.",
        "new_chat_photo": "The group's photo was changed.",
        "delete_chat_photo": "The group's photo was removed.",
        "group_chat_created": "The group was created.",
        "supergroup_chat_created": "The group was created.",
        "channel_chat_created": "The channel was created.",
        "message_auto_delete_timer_changed": "The time after which messages vanish was changed.",
        "pinned_message": "A message was pinned.",
        "successful_payment": "A payment went through.",
        "refunded_payment": "A payment was refunded.",
        "users_shared": "People were shared with the bot.",
        "chat_shared": "A chat was shared with the bot.",
        "connected_website": "The customer logged in on a website with Telegram.",
        "write_access_allowed": "The customer allowed the bot to write.",
        "passport_data": "Passport data was sent.",
        "proximity_alert_triggered": "Somebody came near.",
        "boost_added": "The group was boosted.",
        "chat_background_set": "The chat's background was changed.",
        "checklist_tasks_done": "Tasks of a checklist were marked.",
        "checklist_tasks_added": "Tasks were added to a checklist.",
        "direct_message_price_changed": "The price of direct messages was changed.",
        "paid_message_price_changed": "The price of messages was changed.",
        "forum_topic_created": "A topic was opened.",
        "forum_topic_edited": "A topic was renamed.",
        "forum_topic_closed": "A topic was closed.",
        "forum_topic_reopened": "A topic was reopened.",
        "general_forum_topic_hidden": "The general topic was hidden.",
        "general_forum_topic_unhidden": "The general topic was shown again.",
        "giveaway_created": "A giveaway was started.",
        "giveaway_completed": "A giveaway has ended.",
        "video_chat_scheduled": "A video chat was planned.",
        "video_chat_started": "A video chat began.",
        "video_chat_ended": "A video chat ended.",
        "video_chat_participants_invited": "People were invited to a video chat.",
    }.items()
}
_ENVELOPE = frozenset(
    {
        *("message_id", "message_thread_id", "direct_messages_topic", "from", "sender_chat", "sender_boost_count"),
        *(
            "sender_business_bot",
            "sender_tag",
            "business_connection_id",
            "date",
            "edit_date",
            "chat",
            "is_topic_message",
        ),
        *("forward_origin", "forward_from", "forward_from_chat", "forward_from_message_id", "forward_signature"),
        *("forward_sender_name", "forward_date", "is_automatic_forward", "reply_to_message", "external_reply", "quote"),
        *("reply_to_story", "reply_to_checklist_task_id", "via_bot", "has_protected_content", "is_from_offline"),
        *("is_paid_post", "media_group_id", "author_signature", "paid_star_count", "link_preview_options", "effect_id"),
        *("entities", "caption_entities", "show_caption_above_media", "has_media_spoiler", "reply_markup", "text"),
        *("caption", "suggested_post_info"),
    }
)


def label(reply_markup: Any, payload: str | None) -> str | None:
    """The words on the inline button that carries `payload`."""
    rows = obj(reply_markup).get("inline_keyboard")
    for row in rows if isinstance(rows, list) else []:
        for button in objects(row):
            if payload is not None and button.get("callback_data") == payload:
                return text(button.get("text"))
    return None
